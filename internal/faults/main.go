package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		if !errors.Is(err, flag.ErrHelp) {
			fmt.Fprintln(os.Stderr, "faults:", err)
		}
		stop()
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("faults", flag.ContinueOnError)
	pattern := flags.String("run", "", "only faults whose name matches this `regexp`")
	share := flags.String("part", "1/1", "`K/N` tries the Kth of N parts, as large as the others; the texts of all are looked for")
	parallel := flags.Int("parallel", 2, "how many to try at once")
	timeout := flags.Duration("timeout", 2*time.Minute, "for the test of one fault")
	dir := flags.String("dir", "faults", "where the faults are, relative to the root")
	write := flags.Bool("write", false, "only bring the list in docs/security.md up to date")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 || *parallel < 1 || *timeout <= 0 {
		return errors.New("give flags only, with positive values; see -help")
	}
	root, err := findRoot(ctx)
	if err != nil {
		return err
	}
	faults, err := readFaults(filepath.Join(root, *dir))
	if err != nil {
		return err
	}
	if *write {
		return writeList(filepath.Join(root, securityPage), faults)
	}
	faults, err = matching(faults, *pattern)
	if err != nil {
		return err
	}
	if err := textsAreThere(root, faults); err != nil {
		return err
	}
	if faults, err = part(faults, *share); err != nil {
		return err
	}
	scratch, err := os.MkdirTemp("", "faults-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(scratch)
	return tryAll(ctx, runner{root, scratch, *timeout, *parallel}, faults, out)
}

// findRoot returns the directory of the go.mod that the command is run under.
func findRoot(ctx context.Context) (string, error) {
	mod, err := exec.CommandContext(ctx, "go", "env", "GOMOD").Output()
	dir := filepath.Dir(strings.TrimSpace(string(mod)))
	if err != nil || dir == "." {
		return "", errors.Join(errors.New("run it inside the repository"), err)
	}
	return dir, nil
}

func matching(faults []Fault, pattern string) ([]Fault, error) {
	re, err := regexp.Compile(pattern)
	if err != nil {
		return nil, err
	}
	faults = slices.DeleteFunc(faults, func(f Fault) bool { return !re.MatchString(f.Name) })
	if len(faults) == 0 {
		return nil, fmt.Errorf("no fault matches %q", pattern)
	}
	return faults, nil
}

// part returns the Kth of N parts of faults, for a share "K/N".
func part(faults []Fault, share string) ([]Fault, error) {
	var k, n int
	if _, err := fmt.Sscanf(share, "%d/%d", &k, &n); err != nil || k < 1 || k > n || share != fmt.Sprintf("%d/%d", k, n) {
		return nil, fmt.Errorf("-part is %q: give K/N with 1 <= K <= N", share)
	}
	var list []Fault
	for i, f := range faults {
		if i%n == k-1 {
			list = append(list, f)
		}
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("part %s of %d faults is empty", share, len(faults))
	}
	return list, nil
}

// textsAreThere finds the faults that cannot be tried, since their code has moved on.
func textsAreThere(root string, faults []Fault) error {
	var mistakes []error
	for _, f := range faults {
		source, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(f.File)))
		if err == nil {
			_, err = f.apply(string(source))
		}
		if err != nil {
			mistakes = append(mistakes, fmt.Errorf("%s: %w", f.Name, err))
		}
	}
	return errors.Join(mistakes...)
}

// tryAll prints a line for each fault, what went wrong, and the totals.
func tryAll(ctx context.Context, r runner, faults []Fault, out io.Writer) error {
	width := 0
	for _, f := range faults {
		width = max(width, len(f.Name))
	}
	total := map[string]int{}
	var bad []report
	err := r.run(ctx, faults, func(rep report) {
		total[rep.Verdict]++
		if rep.Verdict != killed {
			bad = append(bad, rep)
		}
		fmt.Fprintf(out, "%-8s  %-*s  %5.1fs  %s %s\n",
			rep.Verdict, width, rep.Name, rep.Took.Seconds(), rep.Package, rep.Run)
	})
	if err != nil {
		return err
	}
	for _, rep := range bad {
		fmt.Fprintf(out, "\n%s %s: %s\n  why: %s\n%s", rep.Verdict, rep.Name, rep.Because, rep.Why, indent(rep.Output))
	}
	fmt.Fprintf(out, "\n%d faults: %d killed, %d survived, %d unusable\n",
		len(faults), total[killed], total[survived], total[unusable])
	if len(bad) > 0 {
		return fmt.Errorf("%d of %d faults were not noticed", len(bad), len(faults))
	}
	return nil
}

// indent shows the last lines of what a run printed.
func indent(output string) string {
	lines := strings.Split(strings.TrimSpace(output), "\n")
	lines = lines[max(0, len(lines)-30):]
	return "    " + strings.Join(lines, "\n    ") + "\n"
}
