package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/alecthomas/kong"

	"github.com/tbctl/tbctl/advisory"
	"github.com/tbctl/tbctl/fault"
	"github.com/tbctl/tbctl/host"
	"github.com/tbctl/tbctl/install"
	"github.com/tbctl/tbctl/internal/cmdline"
	"github.com/tbctl/tbctl/internal/config"
	"github.com/tbctl/tbctl/internal/hints"
	"github.com/tbctl/tbctl/internal/interrupt"
	"github.com/tbctl/tbctl/internal/limits"
	"github.com/tbctl/tbctl/internal/manual"
	"github.com/tbctl/tbctl/internal/shell"
	"github.com/tbctl/tbctl/internal/term"
	"github.com/tbctl/tbctl/report"
)

// streams are the three standard streams.
type streams struct {
	in  io.Reader
	out io.Writer
	err io.Writer
}

// app is what a command's Run gets: streams, context and the global flags. It
// collects what the command has to say and prints it once, in the form asked for.
type app struct {
	ctx    context.Context
	std    streams
	in     io.Reader
	out    *term.Stream // results
	err    *term.Stream // everything else
	getenv func(string) string
	global globals

	command  string // such as "install"
	line     hints.Line
	about    hints.About
	host     host.Report // what the last look at the replicas and data files here found
	result   any         // for --json; nil until the command has one
	warnings []string
	compact  bool // the document is one line
	progress *term.Progress

	list     *advisory.List // what is known of releases, see advisories
	listRead bool
	warnsBy  **advisory.List // with what a rollout brought; nil: not read yet

	config        *config.Config
	flags         []*kong.Flag    // of the command and the global ones
	onCommandLine map[string]bool // flags that were given
}

// globals are the flags of every command.
type globals struct {
	HelpAll  manual.AllFlag `help:"Show all of the help, with every flag."`
	Version  versionFlag    `help:"Show the version of tbctl." group:"output"`
	JSON     bool           `help:"Print one JSON document on standard output, on failure too." group:"output"`
	Quiet    bool           `short:"q" help:"No progress and no notes; of install, rollback, download and verify the answer alone. Warnings and errors stay." group:"output"`
	Color    term.Color     `more:"" enum:"auto,always,never" default:"auto" help:"Colour: auto, always or never. NO_COLOR is honoured." group:"output"`
	StateDir string         `more:"" placeholder:"DIR" env:"TBCTL_STATE_DIR" help:"Where the history is kept (${state_dir})." group:"output"`
}

// run parses the arguments, runs the command and returns the exit code.
func run(args []string, std streams, getenv func(string) string) int {
	if asksVersion(args) {
		if _, err := io.WriteString(std.out, readVersion().String()); err != nil {
			fmt.Fprintln(std.err, "tbctl: error: write the result:", err)
			return int(exitFailed)
		}
		return int(exitDone)
	}
	if err := limits.Check(); err != nil {
		fmt.Fprintln(std.err, "tbctl: error:", err)
		return int(exitFailed)
	}
	a := &app{in: std.in, std: std, getenv: getenv, line: args}
	a.global.Color = cmdline.Color(args)
	a.global.JSON = cmdline.HasFlag(args, "--json")
	a.openStreams()
	ctx, stop := interrupt.Context(context.Background())
	defer stop()
	err := interrupt.Run(ctx, func(ctx context.Context) error {
		a.ctx = ctx
		return a.dispatch(args)
	})
	if stuck, ok := errors.AsType[*interrupt.StuckError](err); ok { // a is the command's, which may still go on
		left := &app{ctx: ctx, std: std, getenv: getenv, line: args, command: cmdline.Command(args)}
		left.global.Color, left.global.JSON = cmdline.Color(args), cmdline.HasFlag(args, "--json")
		left.openStreams()
		return left.finish(stuck)
	}
	return a.finish(err)
}

// known is what hints may say of the command line.
func (a *app) known() *hints.Known {
	return &hints.Known{Command: a.command, Line: a.line, About: a.about, StateDir: a.stateDir, Sudo: a.getenv("SUDO_USER") != "", Running: a.onCommandLine["running"], Host: a.host}
}

// grace is how long the command may go on after a signal: by its whole name, or by its first word.
func (a *app) grace() interrupt.Grace {
	switch a.command {
	case "fleet status", "fleet report":
		return interrupt.Clears
	}
	switch first, _, _ := strings.Cut(a.command, " "); first {
	case "download", "pack", "extract", "store": // they do more than look
		return interrupt.Clears
	case "exec", "demo", "fleet", "host": // what they run or are told has to end, and they end by themselves
		return interrupt.Stays
	}
	return interrupt.Looks // as an installation does until it has the lock, see observe
}

// openStreams makes the two output streams.
func (a *app) openStreams() {
	a.out = term.New(a.std.out, a.global.Color, a.getenv)
	a.err = term.New(a.std.err, a.global.Color, a.getenv)
}

// note says something to a person on standard error, unless --quiet or --json.
func (a *app) note(format string, args ...any) {
	if !a.global.Quiet && !a.global.JSON {
		a.err.Printf("tbctl: "+format+"\n", args...)
	}
}

// warn says something that an operator must not miss, once. With --json it stands
// in the document.
func (a *app) warn(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if slices.Contains(a.warnings, text) {
		return
	}
	a.warnings = append(a.warnings, text)
	if !a.global.JSON {
		a.labelled(a.err.Styles().Warn.Render("warning:"), text)
	}
}

func (a *app) warnText(text string) { a.warn("%s", text) }

func (a *app) warnAll(texts []string) {
	for _, text := range texts {
		a.warnText(text)
	}
}

// labelled prints a text behind a label on standard error. Texts from outside stand in
// it: what a terminal would act on is taken out.
func (a *app) labelled(label, text string) {
	const indent = len("tbctl: ")
	text = term.Printable(strings.ReplaceAll(text, "\n", "; "))
	a.err.Println(a.err.Hang("tbctl: "+label+" "+text, indent))
}

// hint prints what to type next. A quoted name in it stays in one line: what is pasted is
// to be the name.
func (a *app) hint(text string) {
	label := a.err.Styles().Accent.Render("hint:")
	if strings.Contains(text, " '") || strings.Contains(text, "$'") {
		a.err.Println("tbctl: " + label + " " + text)
		return
	}
	a.labelled(label, text)
}

// emit is the command's result: the value for --json, and how a person sees it.
// A command may emit a result and still return an error.
func (a *app) emit(result any, render func(*term.Stream)) {
	a.result = result
	if !a.global.JSON && render != nil {
		render(a.out)
	}
}

// tell says what happened at a time, as it happens: a line of JSON, or what a person sees, which begins with the time.
func (a *app) tell(line any, at time.Time, show func(when string)) {
	if a.global.JSON {
		_ = a.writeJSON(line, "") // its error is kept by the stream
		return
	}
	show(a.out.Styles().Dim.Render(at.Local().Format("15:04:05.000")))
}

// finish prints the error or the document and returns the exit code.
func (a *app) finish(err error) int {
	if err == nil && a.out.Err() != nil && !a.global.JSON {
		err = a.lostResult(a.out.Err())
	}
	failure := classify(a, err)
	if cause := interrupt.Cause(a.ctx); cause != nil { // which libraries say in the language's words
		failure.message = strings.ReplaceAll(failure.message, context.Canceled.Error(), cause.Error())
	}
	if a.global.JSON {
		if writeErr := a.writeDocument(failure); writeErr != nil && failure.code == exitDone {
			failure = classify(a, a.lostResult(writeErr))
		} else {
			return int(failure.code)
		}
	}
	if failure.code != exitDone && failure.message != "" && !failure.quiet {
		a.labelled(a.err.Styles().Bad.Render("error:"), failure.message)
		if failure.hint != "" {
			a.hint(failure.hint)
		}
	}
	return int(failure.code)
}

// lostResult is the error of a result that could not be written. After a change it
// must not look like a failure that left the target as it was.
func (a *app) lostResult(cause error) error {
	err := fmt.Errorf("write the result: %w", cause)
	if errors.Is(cause, syscall.EPIPE) && !a.changed() { // as of "| head": who reads has had enough
		return &hints.Error{Of: fault.Interrupted, Hint: "the reader of the output is gone: run it again", Quiet: true, Err: err}
	}
	if a.changed() {
		target := a.result.(*install.Outcome).Plan.Target.Path
		return &hints.Error{Of: fault.Unknown, Hint: "it is done, only not told: tbctl status " + shell.File(target), Err: err}
	}
	if _, rollout := a.result.(*report.Rollout); rollout {
		return &hints.Error{Of: fault.Failed, Hint: "the run has reached what it was to, only that was not told: tbctl fleet status", Err: err}
	}
	return err
}

// changed reports whether the command has replaced the target.
func (a *app) changed() bool {
	outcome, ok := a.result.(*install.Outcome)
	return ok && outcome.Changed
}

func (a *app) writeDocument(failure failure) error {
	doc := report.Document[any]{
		Version: report.Version, Command: a.command, OK: failure.code == exitDone,
		ExitCode: int(failure.code), Result: a.result, Warnings: a.warnings,
	}
	if failure.code != exitDone {
		doc.Error = failure.document()
	}
	indent := "  "
	if a.compact {
		indent = ""
	}
	return a.writeJSON(doc, indent)
}

func (a *app) writeJSON(value any, indent string) error {
	data, err := report.Encode(value, indent)
	if err == nil {
		_, err = a.out.Write(term.JSON(data))
	}
	return err
}
