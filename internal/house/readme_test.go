package house

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
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

var mdLink = regexp.MustCompile(`\]\(([^)#:]+)(#[^)]*)?\)`)

// Links between our own pages lead somewhere. Screenshots are made by a run in a browser, so they may not be there yet.
func TestLinksLeadSomewhere(t *testing.T) {
	pages, err := filepath.Glob(filepath.Join(root, "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	for _, pattern := range []string{"docs/*.md", "docs/*/*.md"} {
		more, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil {
			t.Fatal(err)
		}
		pages = append(pages, more...)
	}
	if len(pages) < 5 {
		t.Fatalf("found %d pages, want the README and docs", len(pages))
	}
	for _, page := range pages {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, link := range mdLink.FindAllStringSubmatch(string(text), -1) {
			if strings.HasSuffix(link[1], ".png") {
				continue
			}
			if _, err := os.Stat(filepath.Join(filepath.Dir(page), link[1])); err != nil {
				t.Errorf("%s links to %s, which is not there", page, link[1])
			}
		}
	}
}
