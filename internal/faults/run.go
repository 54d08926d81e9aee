package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// runner runs the tests of faults in a repository.
type runner struct {
	root     string // of the repository
	scratch  string // for faulty files
	timeout  time.Duration
	parallel int
}

// report is the verdict on one fault.
type report struct {
	Fault
	Verdict, Because string
	Took             time.Duration
	Output           string // of the run, if the verdict is not killed
}

// run judges all faults and calls tell with each report as it comes.
func (r runner) run(ctx context.Context, faults []Fault, tell func(report)) error {
	base, err := r.baseline(ctx, faults)
	if err != nil {
		return err
	}
	work := make(chan Fault)
	var told sync.Mutex
	var workers sync.WaitGroup
	for range r.parallel {
		workers.Go(func() {
			for f := range work {
				rep := r.try(ctx, f, base[f.Package])
				told.Lock()
				tell(rep)
				told.Unlock()
			}
		})
	}
	for _, f := range faults {
		work <- f
	}
	close(work)
	workers.Wait()
	return ctx.Err()
}

// baseline runs every named test without a fault, each package once. All of them must pass.
func (r runner) baseline(ctx context.Context, faults []Fault) (map[string]result, error) {
	patterns := map[string][]string{}
	for _, f := range faults {
		if !slices.Contains(patterns[f.Package], f.Run) {
			patterns[f.Package] = append(patterns[f.Package], f.Run)
		}
	}
	base := map[string]result{}
	var mistakes []error
	for pkg, list := range patterns {
		res, err := r.goTest(ctx, pkg, strings.Join(list, "|"), 5*r.timeout)
		if err != nil {
			return nil, err
		}
		base[pkg] = res
		if failed := res.failed(); !res.built || res.timedOut || len(failed) > 0 {
			mistakes = append(mistakes, fmt.Errorf("%s fails without any fault (%s):\n%s",
				pkg, strings.Join(failed, ", "), strings.Join(res.output, "")))
		}
	}
	return base, errors.Join(mistakes...)
}

// try runs the test of one fault with it.
func (r runner) try(ctx context.Context, f Fault, without result) report {
	began := time.Now()
	rep := report{Fault: f, Verdict: unusable}
	overlay, err := r.overlay(f)
	if err != nil {
		rep.Because = err.Error()
		return rep
	}
	with, err := r.goTest(ctx, f.Package, f.Run, r.timeout, "-overlay="+overlay)
	rep.Took = time.Since(began)
	if err != nil {
		rep.Because = err.Error()
		return rep
	}
	rep.Verdict, rep.Because = judge(without, with)
	if rep.Verdict != killed {
		rep.Output = strings.Join(with.output, "")
	}
	return rep
}

// overlay writes the faulty file and the JSON file that puts it in place of the real one.
func (r runner) overlay(f Fault) (path string, err error) {
	file := filepath.Join(r.root, filepath.FromSlash(f.File))
	source, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	faulty, err := f.apply(string(source))
	if err != nil {
		return "", err
	}
	copied := filepath.Join(r.scratch, f.Name+filepath.Ext(f.File))
	list, err := json.Marshal(map[string]map[string]string{"Replace": {file: copied}})
	if err != nil {
		return "", err
	}
	path = filepath.Join(r.scratch, f.Name+".json")
	return path, errors.Join(os.WriteFile(copied, []byte(faulty), 0o600), os.WriteFile(path, list, 0o600))
}

// goTest runs go test -json. A test that fails is a result, not an error.
func (r runner) goTest(ctx context.Context, pkg, pattern string, timeout time.Duration, flags ...string) (result, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout+5*time.Minute) // building may take long, too
	defer cancel()
	args := append([]string{"test", "-json", "-vet=off", "-ldflags=-s -w", "-timeout=" + timeout.String(), "-run=" + pattern}, flags...)
	cmd := exec.CommandContext(ctx, "go", append(args, pkg)...)
	cmd.Dir = r.root
	cmd.WaitDelay = time.Second
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	var exit *exec.ExitError
	if err != nil && (!errors.As(err, &exit) || ctx.Err() != nil) {
		return result{}, fmt.Errorf("go test %s: %w", pkg, errors.Join(ctx.Err(), err))
	}
	res, readErr := readResult(bytes.NewReader(out))
	if readErr != nil {
		return result{}, readErr
	}
	res.output = append(res.output, errs.String())
	if err != nil && len(res.outcome) == 0 {
		res.built = false // the package does not exist, or the like
	}
	return res, nil
}
