package main

import (
	"fmt"
	"os"
	"strings"
)

// securityPage holds the list of faults for people, between two marks.
const (
	securityPage = "docs/security.md"
	listBegins   = "<!-- faults: begin; brought up to date by go run ./internal/faults -write -->\n"
	listEnds     = "<!-- faults: end -->\n"
)

// list returns the faults as a Markdown table.
func list(faults []Fault) string {
	var b strings.Builder
	b.WriteString("| check | test that dies without it | fault |\n|---|---|---|\n")
	for _, f := range faults {
		fmt.Fprintf(&b, "| %s | `%s` in `%s` | [%s](../faults/%s.fault) |\n",
			cell(f.Why), cell(f.Run), strings.TrimPrefix(f.Package, "./"), f.Name, f.Name)
	}
	return b.String()
}

// cell keeps a text from ending its table cell.
func cell(s string) string { return strings.ReplaceAll(s, "|", `\|`) }

// withList returns the page with the list put between the marks.
func withList(page string, faults []Fault) (string, error) {
	head, rest, found := strings.Cut(page, listBegins)
	_, tail, ended := strings.Cut(rest, listEnds)
	if !found || !ended {
		return "", fmt.Errorf("%s has lost the marks around the list of faults", securityPage)
	}
	return head + listBegins + list(faults) + listEnds + tail, nil
}

func writeList(path string, faults []Fault) error {
	page, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	changed, err := withList(string(page), faults)
	if err != nil {
		return err
	}
	return os.WriteFile(path, []byte(changed), 0o644)
}
