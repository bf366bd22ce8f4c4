package main

import (
	"context"
	"fmt"
	"time"

	"github.com/tbctl/tbctl/internal/render"
	"github.com/tbctl/tbctl/internal/term"
	"github.com/tbctl/tbctl/remote"
	"github.com/tbctl/tbctl/report"
)

// followInterval is the time from a host's answer to the next question, if nobody says another.
const followInterval = 2 * time.Second

// follow shows what changes until a signal comes. No host waits for another.
func (c *fleetStatusCmd) follow(a *app, dialer *remote.Dialer, result *report.Fleet) error {
	a.compact = true
	interval := followInterval
	if c.Interval != nil {
		interval = *c.Interval
	}
	ctx, cancel := context.WithCancel(a.ctx)
	defer cancel()
	rows := followed{a: a, result: result, essences: make([]string, len(result.Hosts))}
	if a.out.Redraws() && !a.global.JSON {
		rows.frame = a.out.NewFrame()
	}
	rows.draw()
	seen := make(chan followedHost)
	for index := range result.Hosts {
		row := result.Hosts[index]
		go dialer.Follow(ctx, row.Name, interval, func(shown *report.Host, err error) {
			answered(dialer, &row, shown, err)
			if row.Problem != nil {
				row.Problem.Again = true
			}
			select {
			case seen <- followedHost{index, row}:
			case <-ctx.Done():
			}
		})
	}
	for {
		select {
		case <-a.ctx.Done():
			a.emit(result, nil)
			return context.Cause(a.ctx)
		case host := <-seen:
			if err := rows.take(host, seen); err != nil {
				return err
			}
		}
		if a.out.Err() != nil {
			return fmt.Errorf("write a change: %w", a.out.Err())
		}
	}
}

// followedHost is what was seen of the host of a row.
type followedHost struct {
	index int
	host  report.FleetHost
}

// followed are the rows as they were last shown.
type followed struct {
	a        *app
	result   *report.Fleet
	essences []string
	frame    *term.Frame // nil: there is no terminal to draw at
}

// take shows what is another than before, of this host and of those that have answered by now.
func (f *followed) take(next followedHost, more <-chan followedHost) error {
	changed := false
	for {
		essence, err := next.host.Essence()
		if err != nil {
			return err
		}
		if essence != f.essences[next.index] {
			changed = true
			before := f.result.Hosts[next.index]
			f.result.Hosts[next.index], f.essences[next.index] = next.host, essence
			f.tell(&before, &next.host)
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
	at := time.Now()
	switch {
	case f.a.global.JSON:
		line := report.FleetLine{Version: report.Version, Command: f.a.command, Change: report.FleetChange{Time: at.UTC(), Host: *now}}
		_ = f.a.writeJSON(line, "") // its error is kept by the stream
	case f.frame == nil:
		for _, line := range render.FleetChanges(f.a.out, before, now) {
			f.a.out.Printf("%s %s\n", f.a.out.Styles().Dim.Render(at.Local().Format("15:04:05.000")), line)
		}
	}
}

// draw draws all rows at a terminal.
func (f *followed) draw() {
	if f.frame != nil {
		f.frame.Draw(func(out *term.Stream) { render.Fleet(out, f.result) })
	}
}
