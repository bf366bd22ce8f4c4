package main

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"time"

	"github.com/tbctl/tbctl/internal/render"
	"github.com/tbctl/tbctl/internal/term"
	"github.com/tbctl/tbctl/report"
	"github.com/tbctl/tbctl/rollout"
)

// followInterval is the time from a host's answer to the next question, if nobody says another.
const followInterval = 2 * time.Second

// follow shows what changes until a signal comes. No host waits for another.
func (c *fleetStatusCmd) follow(a *app, hosts *rollout.Asking, result *report.Fleet) error {
	a.compact = true
	interval := followInterval
	if c.Interval != nil {
		interval = *c.Interval
	}
	ctx, end := a.whileRead()
	defer end()
	rows := followed{a: a, result: result, essences: make([]string, len(result.Hosts))}
	if a.out.Redraws() && !a.global.JSON {
		rows.frame = a.out.NewFrame()
	}
	rows.draw()
	seen := hosts.Follow(ctx, result.Hosts, interval)
	for {
		select {
		case <-ctx.Done():
			a.emit(result, nil)
			if cause := context.Cause(ctx); errors.Is(cause, syscall.EPIPE) {
				return a.lostResult(cause)
			}
			return context.Cause(ctx)
		case host := <-seen:
			if err := rows.take(host, seen); err != nil {
				return err
			}
		}
		if a.out.Err() != nil {
			return a.lostResult(fmt.Errorf("write a change: %w", a.out.Err()))
		}
	}
}

// followed are the rows as they were last shown.
type followed struct {
	a        *app
	result   *report.Fleet
	essences []string
	frame    *term.Frame // nil: there is no terminal to draw at
}

// take shows what is another than before, of this host and of those that have answered by now.
func (f *followed) take(next rollout.Followed, more <-chan rollout.Followed) error {
	changed := false
	for {
		essence, err := next.Host.Essence()
		if err != nil {
			return err
		}
		if essence != f.essences[next.Index] {
			changed = true
			before := f.result.Hosts[next.Index]
			f.result.Hosts[next.Index], f.essences[next.Index] = next.Host, essence
			f.tell(&before, &next.Host)
		}
		select {
		case next = <-more:
			continue
		default:
		}
		if changed {
			f.draw()
		}
		return nil
	}
}

// tell writes the line or lines of a change, where nothing is drawn.
func (f *followed) tell(before, now *report.FleetHost) {
	if f.frame != nil {
		return
	}
	at := time.Now()
	line := report.FleetLine{Version: report.Version, Command: f.a.command, Change: report.FleetChange{Time: at.UTC(), Host: *now}}
	f.a.tell(line, at, func(when string) {
		for _, text := range render.FleetChanges(f.a.out, before, now) {
			f.a.out.Printf("%s %s\n", when, text)
		}
	})
}

// draw draws all rows at a terminal.
func (f *followed) draw() {
	if f.frame != nil {
		f.frame.Draw(func(out *term.Stream) { render.Fleet(out, f.result) })
	}
}
