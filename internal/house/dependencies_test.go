package house

import (
	"bytes"
	"encoding/json"
	"os"
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
	page, err := os.ReadFile(filepath.Join(root, "docs", "dependencies.md"))
	if err != nil {
		t.Fatal(err)
	}
	lines := map[string]bool{}
	for _, m := range dependencyLine.FindAllStringSubmatch(string(page), -1) {
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
