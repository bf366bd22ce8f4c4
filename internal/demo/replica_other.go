//go:build !linux

package demo

import (
	"context"
	"os/exec"

	"github.com/tbctl/tbctl/multiversion"
)

const replicas = false

// Replica reports that this process is no stand-in for a replica: they need Linux.
func Replica([]string) (code int, standin bool) { return 0, false }

func stamp(executable []byte, _ multiversion.Release) ([]byte, error) { return executable, nil }

func lash(*exec.Cmd) (release func()) { return func() {} }

func (p *place) cluster(context.Context, int, ...string) error { return errNoReplicas }

func (p *place) manyHosts(context.Context) ([]step, error) { return nil, errNoReplicas }
