// Package cli is the command line: one file a command, wire.go puts the rooms together. It decides how results look and
// with which code the process ends; everything else happens in the packages below.
//
//	os.Exit(cli.Main())
//	code := cli.Run(ctx, []string{"scan", "trail/"}, cli.Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr})
//
// What it prints comes from logs, that is from strangers: nothing reaches a terminal that could steer it (printable).
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
	"time"

	"github.com/alecthomas/kong"
)

// The codes that the process ends with. Where several of the first four hold, the highest wins.
const (
	ExitNothing     = 0   // nothing was found
	ExitAlerts      = 1   // there are new alerts, folded ones too
	ExitUsage       = 2   // the command line is wrong, or the command could not be carried out
	ExitIncomplete  = 3   // some input or rule was bad, or alerts over max_signals are left out; results are printed all the same
	ExitInterrupted = 130 // interrupted by the user
)

// exitCodes is what help says of them.
const exitCodes = `Exit codes:

    0    nothing found
    1    there are new alerts (folded ones count)
    2    the command line is wrong, or the command could not be carried out
    3    some input or rule was bad, or a window held more alerts than its rule
         allows and they are not released; results are printed all the same (3 wins over 1)
    130  interrupted`

// Streams are what a command reads and writes, and what it knows of its surroundings.
type Streams struct {
	In       io.Reader
	Out, Err io.Writer
	// Now is the clock; nil: the system's.
	Now func() time.Time
	// Getenv looks up the environment; nil: the process's.
	Getenv func(string) string

	// screen replaces what is found out about Out; only tests set it.
	screen *screen
}

// Version is what this build calls itself; the linker sets it.
var Version = "0.1.0-dev"

type commands struct {
	Scan     scanCommand     `cmd:"" help:"Run rules over CloudTrail files and print the alerts."`
	Query    queryCommand    `cmd:"" help:"Search stored events with KQL."`
	Alerts   alertsCommand   `cmd:"" help:"List and release alerts that rules left out."`
	Rules    rulesCommand    `cmd:"" help:"Check, show and lint rules."`
	Explain  explainCommand  `cmd:"" help:"Say why a rule did, or did not, fire."`
	Test     testCommand     `cmd:"" help:"Run the tests that stand beside rules."`
	Version  versionCommand  `cmd:"" help:"Print the version."`
	DemoData demoDataCommand `cmd:"" hidden:"" help:"Write CloudTrail files like the bundled ones, of any size."`
	Bench    benchCommand    `cmd:"" hidden:"" help:"Measure loading and rules on generated events."`

	BenchRules     benchRulesCommand     `cmd:"" hidden:"" help:"Measure every rule of a set."`
	BenchSequences benchSequencesCommand `cmd:"" hidden:"" help:"Measure sequences on generated events."`
}

// Main runs the process: arguments, streams and signals are its own. It returns the code to exit with. The first
// interrupt ends the command in order, a second one ends the process at once.
func Main() int {
	// Without this a reader that goes away (head) would end the process before the temporary store is removed.
	signal.Ignore(syscall.SIGPIPE)
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(goMemory)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	context.AfterFunc(ctx, stop)
	return Run(ctx, os.Args[1:], Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr})
}

// Run runs the command that args name and returns the exit code. Results go to streams.Out, everything else to
// streams.Err.
func Run(ctx context.Context, args []string, streams Streams) int {
	if streams.Now == nil {
		streams.Now = time.Now
	}
	if streams.Getenv == nil {
		streams.Getenv = os.Getenv
	}
	var all commands
	exited := -1
	parser, err := kong.New(&all,
		kong.Name("tocsin"),
		kong.Description("A detection engine in one binary: CloudTrail in, rules in Elastic's format, alerts with their evidence out.\n\n"+exitCodes),
		kong.Writers(streams.Out, streams.Err),
		kong.Exit(func(code int) { exited = code }),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, WrapUpperBound: 100}),
	)
	if err != nil {
		fmt.Fprintln(streams.Err, "tocsin:", err)
		return ExitUsage
	}
	if len(args) == 0 {
		args = []string{"--help"}
	}
	parsed, err := parser.Parse(args)
	if exited >= 0 {
		return exited
	}
	if err != nil {
		fmt.Fprintf(streams.Err, "tocsin: %s\nTry: %s --help\n", printable(err.Error()), commandOf(err))
		return ExitUsage
	}
	parsed.BindTo(ctx, (*context.Context)(nil))
	return code(ctx, streams, parsed.Run(streams))
}

// commandOf is the command whose arguments are wrong, as far as it was read.
func commandOf(err error) string {
	var wrong *kong.ParseError
	if errors.As(err, &wrong) {
		if node := wrong.Context.Selected(); node != nil {
			return node.FullPath()
		}
	}
	return "tocsin"
}

// code says how the process ends after a command returned err, and prints what there is to say.
func code(ctx context.Context, streams Streams, err error) int {
	var exit *exitError
	switch {
	case err == nil:
		return ExitNothing
	case ctx.Err() != nil:
		fmt.Fprintln(streams.Err, "tocsin: interrupted")
		return ExitInterrupted
	case errors.As(err, &exit) && exit.err == nil:
		return exit.code
	case errors.As(err, &exit):
		fmt.Fprintln(streams.Err, "tocsin:", printable(exit.err.Error()))
		return exit.code
	}
	fmt.Fprintln(streams.Err, "tocsin:", printable(err.Error()))
	return ExitUsage
}

// exitError ends a command with a code, and with a message where err is set.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit %d", e.code)
	}
	return e.err.Error()
}

func (e *exitError) Unwrap() error { return e.err }

// exit returns the error that ends a command with code; nil for ExitNothing.
func exit(code int) error {
	if code == ExitNothing {
		return nil
	}
	return &exitError{code: code}
}
