package main

import (
	"fmt"
	"path/filepath"

	"github.com/tbctl/tbctl/internal/shell"
	"github.com/tbctl/tbctl/inventory"
)

// fleetSettings are the list of hosts that would be used, and what it says of all of them. The error is why it cannot be used; its
// line has it too.
func (a *app) fleetSettings() ([]setting, error) {
	const variable = "TBCTL_FLEET"
	named := a.getenv(variable)
	name, text, err := inventory.Find(named, a.getenv)
	if name == "" {
		return []setting{{Name: "fleet", Origin: "default"}}, nil
	}
	list := setting{Name: "fleet", Value: name, Origin: "found in the user's directory of settings"}
	switch {
	case named != "":
		list.Origin = "the environment: " + variable
	case !filepath.IsAbs(name):
		list.Origin = "found in this directory"
	}
	if whole, absErr := filepath.Abs(name); absErr == nil {
		list.Value = whole
	}
	found, parseErr := inventory.Parse(name, text)
	if err == nil {
		err = parseErr
	}
	if err != nil {
		list.Problem = err.Error()
		return []setting{list}, err
	}
	lines := []setting{list}
	for _, each := range []setting{
		{Name: "become", Value: shell.Words(found.Become)}, {Name: "ssh", Value: shell.Words(found.SSH)}, {Name: "state", Value: found.State}, {Name: "artifacts", Value: found.Artifacts},
	} {
		each.Origin = "default"
		if line := inventory.Line(text, each.Name); line > 0 {
			each.Origin = fmt.Sprintf("%s:%d", list.Value, line)
		} else if each.Name == "ssh" {
			each.Value = "ssh"
		}
		each.Name = "fleet." + each.Name
		lines = append(lines, each)
	}
	return lines, nil
}
