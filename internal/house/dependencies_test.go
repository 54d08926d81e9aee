package house

import (
	"bytes"
	"encoding/json"
	"maps"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// modules are the root and the side modules, those of them that are there.
func modules() []string {
	return slices.DeleteFunc([]string{".", "examples", "e2e", "bench"}, func(dir string) bool {
		return !exists(filepath.Join(dir, "go.mod"))
	})
}

var dependencyLine = regexp.MustCompile("(?m)^\\| `([^`]+)` \\|([^|]+)\\|([^|]+)\\|([^|]+)\\|([^|]+)\\|$")

// accounted returns the modules that have a full line in docs/dependencies.md.
func accounted(t *testing.T) map[string]bool {
	t.Helper()
	lines := map[string]bool{}
	for _, m := range dependencyLine.FindAllStringSubmatch(read(t, "docs/dependencies.md"), -1) {
		for i, cell := range m[2:] {
			if strings.TrimSpace(cell) == "" {
				t.Errorf("docs/dependencies.md: %s: cell %d is empty", m[1], i+2)
			}
		}
		if lines[m[1]] {
			t.Errorf("docs/dependencies.md: %s is there twice", m[1])
		}
		lines[m[1]] = true
	}
	return lines
}

func TestEveryDirectDependencyIsAccountedFor(t *testing.T) {
	lines := accounted(t)
	used := map[string]bool{}
	for _, dir := range modules() {
		for _, m := range slices.Concat(required(t, dir), imported(t, dir)) {
			used[m] = true
			if !lines[m] {
				t.Errorf("%s/go.mod: %s has no line in docs/dependencies.md", dir, m)
			}
		}
	}
	for _, m := range fromNPM(t) {
		used[m] = true
		if !lines[m] {
			t.Errorf("e2e/package.json: %s has no line in docs/dependencies.md", m)
		}
	}
	for m := range lines {
		if !used[m] {
			t.Errorf("docs/dependencies.md: nothing depends on %s directly", m)
		}
	}
}

// required returns what a go.mod requires directly.
func required(t *testing.T, dir string) []string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "mod", "edit", "-json")
	cmd.Dir = filepath.Join(root, dir)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go mod edit in %s: %v", dir, err)
	}
	var mod struct {
		Require []struct {
			Path     string
			Indirect bool
		}
	}
	if err := json.NewDecoder(bytes.NewReader(out)).Decode(&mod); err != nil {
		t.Fatal(err)
	}
	var paths []string
	for _, r := range mod.Require {
		if !r.Indirect && r.Path != module {
			paths = append(paths, r.Path)
		}
	}
	return paths
}

// fromNPM returns what the browser tests fetch from npm. Nothing else comes from there.
func fromNPM(t *testing.T) []string {
	t.Helper()
	var manifest struct {
		Dependencies, DevDependencies map[string]string
	}
	if err := json.Unmarshal([]byte(read(t, "e2e/package.json")), &manifest); err != nil {
		t.Fatal(err)
	}
	if len(manifest.Dependencies) > 0 {
		t.Errorf("e2e/package.json has dependencies that are not for development: %v", manifest.Dependencies)
	}
	return slices.Sorted(maps.Keys(manifest.DevDependencies))
}

var linkedLine = regexp.MustCompile("(?m)^- `([^`]+)`")

// A site that has chosen SQLite links these modules and no others: no second driver, no flags library, no client of
// anything in a cloud.
func TestASiteLinksWhatTheListSays(t *testing.T) {
	_, list, found := strings.Cut(read(t, "docs/dependencies.md"), "## What a site links")
	if !found {
		t.Fatal("docs/dependencies.md does not say what a site links")
	}
	said := map[string]bool{}
	for _, m := range linkedLine.FindAllStringSubmatch(list, -1) {
		said[m[1]] = true
	}
	linked := map[string]bool{}
	for _, p := range goList(t, "examples", "-deps", "./nethttp") {
		if p.Module != nil && !p.Module.Main && p.Module.Path != module {
			linked[p.Module.Path] = true
		}
	}
	for m := range linked {
		if !said[m] {
			t.Errorf("examples/nethttp links %s, and docs/dependencies.md does not say so", m)
		}
	}
	for m := range said {
		if !linked[m] {
			t.Errorf("docs/dependencies.md says that a site links %s, and examples/nethttp does not", m)
		}
	}
}

// imported returns the modules whose packages the code and the tests of a module import themselves.
func imported(t *testing.T, dir string) []string {
	t.Helper()
	direct := map[string]bool{}
	for _, p := range goList(t, dir, "./...") {
		for _, path := range slices.Concat(p.Imports, p.TestImports, p.XTestImports) {
			direct[path] = !standard(path)
		}
	}
	var paths []string
	for _, p := range goList(t, dir, "-deps", "-test", "./...") {
		if direct[p.ImportPath] && p.Module != nil && !p.Module.Main && p.Module.Path != module {
			paths = append(paths, p.Module.Path)
		}
	}
	slices.Sort(paths)
	return slices.Compact(paths)
}
