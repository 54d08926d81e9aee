package main

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Fault is one deliberate mistake and the test that must notice it.
type Fault struct {
	Name    string // of its file, without ".fault"
	File    string // the source file, relative to the root, with slashes
	Package string // what go test is given, as in "./mfa"
	Run     string // its -run pattern
	Why     string // the check that the fault takes out, in one sentence
	Edits   []Edit
}

// Edit replaces a text that stands in the file exactly once.
type Edit struct{ Old, New string }

// readFaults reads all faults of a directory, in the order of their names. All mistakes are reported at once.
func readFaults(dir string) ([]Fault, error) {
	paths, err := filepath.Glob(filepath.Join(dir, "*.fault"))
	if err != nil {
		return nil, err
	}
	var faults []Fault
	var mistakes []error
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		f, err := parse(strings.TrimSuffix(filepath.Base(path), ".fault"), string(text))
		if err != nil {
			mistakes = append(mistakes, fmt.Errorf("%s: %w", path, err))
			continue
		}
		faults = append(faults, f)
	}
	return faults, errors.Join(mistakes...)
}

// parse reads the text of one fault file.
func parse(name, text string) (Fault, error) {
	f := Fault{Name: name}
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	i := 0
	for ; i < len(lines) && !strings.HasPrefix(lines[i], "---"); i++ {
		if err := f.header(lines[i]); err != nil {
			return Fault{}, fmt.Errorf("line %d: %w", i+1, err)
		}
	}
	for i < len(lines) {
		e, n, err := parseEdit(lines[i:])
		if err != nil {
			return Fault{}, fmt.Errorf("line %d: %w", i+1, err)
		}
		f.Edits = append(f.Edits, e)
		i += n
	}
	return f, f.check()
}

// header takes one line before the first block.
func (f *Fault) header(line string) error {
	if strings.TrimSpace(line) == "" {
		return nil
	}
	key, value, ok := strings.Cut(line, ":")
	value = strings.TrimSpace(value)
	if !ok || value == "" {
		return fmt.Errorf("%q is not of the form \"key: value\"", line)
	}
	switch key {
	case "file":
		return once(&f.File, value, key)
	case "why":
		return once(&f.Why, value, key)
	case "test":
		words := strings.Fields(value)
		if len(words) != 3 || words[1] != "-run" {
			return fmt.Errorf("test: %q is not of the form \"./package -run PATTERN\"", value)
		}
		return cmp.Or(once(&f.Package, words[0], key), once(&f.Run, words[2], key))
	}
	return fmt.Errorf("%q is none of file, test and why", key)
}

func once(field *string, value, key string) error {
	if *field != "" {
		return fmt.Errorf("%s is there twice", key)
	}
	*field = value
	return nil
}

// parseEdit reads one block from "--- old" to "--- end" and returns how many lines it has, with empty lines after it.
func parseEdit(lines []string) (Edit, int, error) {
	var old, changed []string
	target := &old
	for i, line := range lines {
		switch {
		case i == 0 && line != "--- old":
			return Edit{}, 0, fmt.Errorf("got %q, want --- old", line)
		case i == 0:
		case line == "--- new" && target == &old:
			target = &changed
		case line == "--- end" && target == &changed:
			n := i + 1
			for n < len(lines) && strings.TrimSpace(lines[n]) == "" {
				n++
			}
			return Edit{strings.Join(old, "\n"), strings.Join(changed, "\n")}, n, nil
		default:
			*target = append(*target, line)
		}
	}
	return Edit{}, 0, errors.New("the block has no --- new and --- end")
}

func (f Fault) check() error {
	var mistakes []error
	for _, field := range []struct{ key, value string }{{"file", f.File}, {"test", f.Package}, {"why", f.Why}} {
		if field.value == "" {
			mistakes = append(mistakes, fmt.Errorf("%s is missing", field.key))
		}
	}
	if f.File != "" && !filepath.IsLocal(filepath.FromSlash(f.File)) {
		mistakes = append(mistakes, fmt.Errorf("file: %q is outside of the repository", f.File))
	}
	if len(f.Edits) == 0 {
		mistakes = append(mistakes, errors.New("there is no --- old block"))
	}
	for _, e := range f.Edits {
		if strings.TrimSpace(e.Old) == "" {
			mistakes = append(mistakes, errors.New("an --- old block is empty"))
		}
		if e.Old == e.New {
			mistakes = append(mistakes, errors.New("a --- new block is the same as its --- old block"))
		}
	}
	return errors.Join(mistakes...)
}

// apply returns the faulty source. An old text that is there never or more than once is an error.
func (f Fault) apply(source string) (string, error) {
	for _, e := range f.Edits {
		if n := strings.Count(source, e.Old); n != 1 {
			return "", fmt.Errorf("%s has the old text %d times, not once:\n%s", f.File, n, e.Old)
		}
		source = strings.Replace(source, e.Old, e.New, 1)
	}
	return source, nil
}
