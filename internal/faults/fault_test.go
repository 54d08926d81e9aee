package main

import (
	"reflect"
	"strings"
	"testing"
)

const good = `file: mfa/ticket.go
test: ./mfa -run ^TestOnce$
why: a ticket is good for one answer
--- old
	if answered {
--- new
	if false {
--- end

--- old
	b
--- new
--- end
`

func TestParse(t *testing.T) {
	want := Fault{
		Name: "once", File: "mfa/ticket.go", Package: "./mfa", Run: "^TestOnce$", Why: "a ticket is good for one answer",
		Edits: []Edit{{"\tif answered {", "\tif false {"}, {"\tb", ""}},
	}
	got, err := parse("once", good)
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("parse = %+v, %v, want %+v", got, err, want)
	}
}

func TestParseRefuses(t *testing.T) {
	for name, c := range map[string]struct{ old, new, want string }{
		"an unknown key":               {"why:", "reason:", "none of file, test and why"},
		"a line without a key":         {"why: a", "a", "not of the form"},
		"a key that is there twice":    {"why:", "file: x.go\nwhy:", "file is there twice"},
		"a missing key":                {"why: a ticket is good for one answer\n", "", "why is missing"},
		"a test without a pattern":     {" -run ^TestOnce$", "", "not of the form"},
		"a file outside":               {"mfa/ticket.go", "../ticket.go", "outside"},
		"a block that does not end":    {"\tb\n--- new\n--- end\n", "\tb\n--- new\n", "no --- new and --- end"},
		"a block without new":          {"\tb\n--- new\n", "\tb\n", "no --- new and --- end"},
		"text between blocks":          {"--- end\n\n", "--- end\nand\n", `got "and"`},
		"an old text that is empty":    {"\tb\n", "", "empty"},
		"a new text equal to the old":  {"--- new\n--- end", "--- new\n\tb\n--- end", "the same"},
		"a fault that changes nothing": {good[strings.Index(good, "--- old"):], "", "no --- old block"},
	} {
		t.Run(name, func(t *testing.T) {
			text := strings.Replace(good, c.old, c.new, 1)
			if _, err := parse("x", text); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("parse = %v, want an error with %q", err, c.want)
			}
		})
	}
}

func TestApplyNeedsTheTextExactlyOnce(t *testing.T) {
	f := Fault{File: "a.go", Edits: []Edit{{"if a {", "if false {"}, {"b", ""}}}
	for source, want := range map[string]string{
		"if a { b }":        "if false {  }",
		"if c { b }":        "",
		"if a { if a { b }": "",
		"if a { }":          "",
		"if a { b b }":      "",
	} {
		got, err := f.apply(source)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("apply(%q) = %q, %v, want %q", source, got, err, want)
		}
	}
}
