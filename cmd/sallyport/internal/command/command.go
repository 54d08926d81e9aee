// Package command is the command line of sallyport: it reads flags, calls what does the work, and says what went wrong
// in one line.
package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
)

// Exit statuses of Run.
const (
	OK     = 0
	Failed = 1 // the command could not do its work
	Usage  = 2 // the command line cannot be understood
)

const rootLong = `Sallyport is the second door for Go web sites: multi-factor authentication on the site's own users and
the site's own login.

To see it work, run

  sallyport demo

and open the address that it prints. To put it before your own site, see the README.`

// Run executes one command line, without the program's name, and returns the exit status. It returns when the command
// is done; a command that serves is done when ctx ends, and that is OK.
func Run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	root := newRoot()
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	cmd, err := root.ExecuteContextC(ctx)
	var failed *failure
	switch {
	case err == nil:
		return OK
	case errors.As(err, &failed):
		fmt.Fprintf(stderr, "%s: %s\n", cmd.CommandPath(), oneLine(err))
		return Failed
	}
	fmt.Fprintf(stderr, "%s: %s; see %q\n", cmd.CommandPath(), oneLine(err), cmd.CommandPath()+" --help")
	return Usage
}

// failure is an error of the work, not of the command line.
type failure struct{ error }

func (f *failure) Unwrap() error { return f.error }

// work makes a command's function of one whose errors are failures.
func work(do func(cmd *cobra.Command) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, _ []string) error {
		if err := do(cmd); err != nil {
			return &failure{err}
		}
		return nil
	}
}

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:                "sallyport",
		Short:              "The second door for Go web sites",
		Long:               rootLong,
		SilenceErrors:      true,
		SilenceUsage:       true,
		DisableSuggestions: true, // they do not fit on one line
		CompletionOptions:  cobra.CompletionOptions{DisableDefaultCmd: true},
		RunE:               func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.AddCommand(newDemo(), newVersion())
	root.SetHelpCommand(newHelp(root))
	return root
}

// newHelp is cobra's help command, but one that says no to what it does not know.
func newHelp(root *cobra.Command) *cobra.Command {
	return &cobra.Command{
		Use:   "help [command]",
		Short: "Show what a command does and takes",
		RunE: func(_ *cobra.Command, args []string) error {
			about, rest, err := root.Find(args)
			if err != nil || len(rest) > 0 {
				return fmt.Errorf("there is no command %q", strings.Join(args, " "))
			}
			about.InitDefaultHelpFlag()
			return about.Help()
		},
	}
}

// noArguments refuses what is neither a flag nor a command.
func noArguments(_ *cobra.Command, args []string) error {
	if len(args) > 0 {
		return fmt.Errorf("unexpected argument %q", args[0])
	}
	return nil
}

// oneLine joins the lines of an error, so that a script reads one error as one line.
func oneLine(err error) string {
	var b strings.Builder
	for line := range strings.FieldsFuncSeq(err.Error(), func(r rune) bool { return r == '\n' || r == '\r' }) {
		line = strings.TrimSpace(line)
		switch sofar := b.String(); {
		case sofar == "" || line == "":
		case strings.HasSuffix(sofar, ":"): // a heading
			b.WriteString(" ")
		default:
			b.WriteString("; ")
		}
		b.WriteString(line)
	}
	return b.String()
}
