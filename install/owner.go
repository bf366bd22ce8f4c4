package install

import (
	"fmt"
	"os/user"
	"strconv"
	"strings"
)

// ParseOwner parses USER[:GROUP], each a name or a number, as a [Request] takes it: what is left out
// is nil.
func ParseOwner(text string) (uid, gid *int, err error) {
	name, group, hasGroup := strings.Cut(text, ":")
	if hasGroup && group == "" {
		return nil, nil, fmt.Errorf("%q names no group after the colon", text)
	}
	if uid, err = parseID(name, func(name string) (string, error) {
		found, err := user.Lookup(name)
		if err != nil {
			return "", err
		}
		return found.Uid, nil
	}); err != nil {
		return nil, nil, err
	}
	gid, err = parseID(group, func(name string) (string, error) {
		found, err := user.LookupGroup(name)
		if err != nil {
			return "", err
		}
		return found.Gid, nil
	})
	return uid, gid, err
}

func parseID(name string, lookup func(string) (string, error)) (*int, error) {
	if name == "" {
		return nil, nil
	}
	id, err := strconv.Atoi(name)
	if err != nil {
		text, err := lookup(name)
		if err != nil {
			return nil, err
		}
		id, err = strconv.Atoi(text) // not a number on Windows, where nothing is installed
		if err != nil {
			return nil, err
		}
	}
	if id < 0 {
		return nil, fmt.Errorf("%d is not a user or group", id)
	}
	return &id, nil
}
