package house

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode"
)

var goSnippet = regexp.MustCompile("(?s)```go\n(.*?)```")

// The code of the README is compiled, since it stands verbatim in a program that is. Only its indentation differs.
func TestReadmeShowsCodeThatCompiles(t *testing.T) {
	readme := read(t, "README.md")
	snippets := goSnippet.FindAllStringSubmatch(readme, -1)
	if len(snippets) == 0 {
		t.Fatal("the README shows no Go code")
	}
	program := unindented(read(t, "examples/nethttp/main.go"))
	for _, s := range snippets {
		if !strings.Contains(program, unindented(s[1])) {
			t.Errorf("this is not in examples/nethttp/main.go:\n%s", s[1])
		}
	}
}

func read(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(root, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func unindented(code string) string {
	lines := strings.Split(code, "\n")
	for i, l := range lines {
		lines[i] = strings.TrimSpace(l)
	}
	return strings.Join(lines, "\n")
}

var (
	mdLink    = regexp.MustCompile(`\]\(([^)\s#:]*)(#[^)\s]*)?\)`)
	mdHeading = regexp.MustCompile(`(?m)^#+ (.*)$`)
	mdCode    = regexp.MustCompile("(?s)```.*?```")
)

// Links between our own pages lead to a file that is there, and to a heading that is in it. The pictures are drawn by a
// run in a browser; before the first one there are none.
func TestLinksLeadSomewhere(t *testing.T) {
	links := 0
	for _, page := range pages(t) {
		for _, link := range mdLink.FindAllStringSubmatch(mdCode.ReplaceAllString(read(t, page), ""), -1) {
			if link[1] == "" && link[2] == "" {
				continue // it leads to another site
			}
			links++
			if strings.HasPrefix(link[1], screenshots) && !exists(screenshots) {
				continue
			}
			target := page
			if link[1] != "" {
				target = filepath.Join(filepath.Dir(page), link[1])
			}
			if !exists(target) {
				t.Errorf("%s links to %s, which is not there", page, link[1])
			} else if link[2] != "" && !hasHeading(t, target, link[2][1:]) {
				t.Errorf("%s links to %s%s, where there is no such heading", page, link[1], link[2])
			}
		}
	}
	if links < 20 {
		t.Errorf("found %d links between our pages, want all of them", links)
	}
}

const screenshots = "docs/screenshots"

// pages returns the pages of the repository, below its root.
func pages(t *testing.T) []string {
	t.Helper()
	var found []string
	for _, pattern := range []string{"*.md", "docs/*.md", "docs/*/*.md", "examples/*.md", "bench/*.md", "e2e/*.md"} {
		names, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			below, err := filepath.Rel(root, name)
			if err != nil {
				t.Fatal(err)
			}
			found = append(found, below)
		}
	}
	return found
}

// hasHeading reports whether a page has a heading whose anchor is that: lower case, punctuation left out, hyphens for
// spaces.
func hasHeading(t *testing.T, page, anchor string) bool {
	t.Helper()
	for _, m := range mdHeading.FindAllStringSubmatch(mdCode.ReplaceAllString(read(t, page), ""), -1) {
		slug := strings.Map(func(r rune) rune {
			switch {
			case r == ' ':
				return '-'
			case r == '-', r == '_', unicode.IsLetter(r), unicode.IsDigit(r):
				return unicode.ToLower(r)
			}
			return -1
		}, m[1])
		if slug == anchor {
			return true
		}
	}
	return false
}

func TestEveryDecisionIsInTheIndex(t *testing.T) {
	index := read(t, "docs/decisions/README.md")
	for _, page := range pages(t) {
		dir, name := filepath.Split(page)
		if dir == "docs/decisions/" && name != "README.md" && !strings.Contains(index, "]("+name+")") {
			t.Errorf("docs/decisions/README.md does not list %s", name)
		}
	}
}
