package house

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	attackTest  = regexp.MustCompile(`(?m)^func (Test([A-Z]+)([0-9]+)_\w+)\(`)
	attackNamed = regexp.MustCompile("`(?:([a-z0-9/]+)\\.)?(Test[A-Z]+[0-9]+_\\w+)`")
	attackRow   = regexp.MustCompile(`(?m)^\| ([A-Z]+)-([0-9]+) \| (.*)$`)
)

// docs/attacks.md names each attack test, in a line of its id, and no test that is not there.
func TestTheTableOfAttacksIsComplete(t *testing.T) {
	there := attackTests(t)
	named := map[string]string{} // test, with its package, to the id of its line
	for _, row := range attackRow.FindAllStringSubmatch(read(t, "docs/attacks.md"), -1) {
		for _, m := range attackNamed.FindAllStringSubmatch(row[3], -1) {
			named[m[1]+"."+m[2]] = row[1] + "-" + row[2]
		}
	}
	if len(there) < 100 || len(named) < 100 {
		t.Fatalf("found %d attack tests and %d in the table, want at least 100", len(there), len(named))
	}
	for test, id := range there {
		if named[test] != id {
			t.Errorf("docs/attacks.md: %s is missing from a line of %s, want each attack test in the table",
				strings.TrimPrefix(test, "."), id)
		}
	}
	for test, id := range named {
		if there[test] == "" {
			t.Errorf("docs/attacks.md: the line of %s names %s, which is no test", id, strings.TrimPrefix(test, "."))
		}
	}
}

// attackTests returns the attack tests of the module, each as package.Test with its id.
func attackTests(t *testing.T) map[string]string {
	t.Helper()
	there := map[string]string{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && strings.HasPrefix(d.Name(), ".") && path != root, d.IsDir() && d.Name() == "node_modules":
			return fs.SkipDir
		case d.IsDir(), !strings.HasSuffix(path, "_test.go"):
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		folder, err := filepath.Rel(root, filepath.Dir(path))
		if err != nil {
			return err
		}
		folder = strings.TrimPrefix(filepath.ToSlash(folder), ".")
		for _, m := range attackTest.FindAllStringSubmatch(string(text), -1) {
			there[folder+"."+m[1]] = m[2] + "-" + m[3]
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return there
}
