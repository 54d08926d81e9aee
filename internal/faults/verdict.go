package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
)

// result is what one run of go test -json told.
type result struct {
	outcome  map[string]string // of each test, subtests too: pass, fail, skip; "" if it never ended
	built    bool
	timedOut bool
	output   []string // everything printed, for the reader of a failure
}

// event is a line of go test -json, as far as it is needed.
type event struct{ Action, Test, Output string }

// readResult reads the output of go test -json. Lines that are no JSON are kept as output.
func readResult(r io.Reader) (result, error) {
	res := result{outcome: map[string]string{}, built: true}
	lines := bufio.NewReader(r)
	for {
		line, err := lines.ReadBytes('\n')
		if len(line) > 0 {
			res.take(line)
		}
		if err == io.EOF {
			return res, nil
		}
		if err != nil {
			return res, err
		}
	}
}

func (res *result) take(line []byte) {
	var ev event
	if json.Unmarshal(line, &ev) != nil {
		res.output = append(res.output, string(line))
		return
	}
	switch ev.Action {
	case "output", "build-output":
		res.output = append(res.output, ev.Output)
		res.timedOut = res.timedOut || strings.HasPrefix(ev.Output, "panic: test timed out after")
	case "build-fail":
		res.built = false
	case "run":
		res.outcome[ev.Test] = ""
	case "pass", "fail", "skip":
		if ev.Test != "" {
			res.outcome[ev.Test] = ev.Action
		}
	}
}

// count returns how many tests had an outcome.
func (res result) count(outcome string) int {
	n := 0
	for _, o := range res.outcome {
		if o == outcome {
			n++
		}
	}
	return n
}

// failed returns the tests that failed, sorted.
func (res result) failed() []string {
	var names []string
	for name, o := range res.outcome {
		if o == "fail" {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// The verdicts on a fault. Only killed is good.
const (
	killed   = "killed"
	survived = "SURVIVED"
	unusable = "UNUSABLE"
)

// judge says whether the tests noticed a fault, and why not. Only the failure of a test that passes without the fault
// counts.
func judge(without, with result) (verdict, because string) {
	switch {
	case !with.built:
		return unusable, "it does not compile"
	case with.timedOut:
		return unusable, "the test timed out"
	case len(with.outcome) == 0:
		return unusable, "no test ran"
	}
	for _, name := range with.failed() {
		if without.outcome[topLevel(name)] == "pass" {
			return killed, ""
		}
	}
	switch {
	case with.count("") > 0:
		return unusable, "the test binary ended inside a test without a verdict"
	case with.count("fail") > 0:
		return unusable, "the test that fails does not pass without the fault"
	case with.count("pass") == 0:
		return unusable, "the test was skipped"
	}
	return survived, fmt.Sprintf("%d tests passed", with.count("pass"))
}

func topLevel(test string) string {
	name, _, _ := strings.Cut(test, "/")
	return name
}
