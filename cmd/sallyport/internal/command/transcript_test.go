package command_test

import (
	"bytes"
	"flag"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"

	"sallyport/cmd/sallyport/internal/command"
)

var update = flag.Bool("update", false, "write what the commands say into the transcripts")

// A transcript is a file in testdata: "# " begins a comment, "$ " a command line. Below it stand its standard output,
// its standard error behind "2> ", and its exit status in brackets if that is not 0.
func TestTranscripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("transcripts: %v, %v", files, err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) { replay(t, file) })
	}
}

func replay(t *testing.T, file string) {
	written, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	place := newPlace(t)
	var now strings.Builder
	commands := 0
	for line := range strings.Lines(string(written)) {
		if args, ok := strings.CutPrefix(line, "$ sallyport"); ok {
			now.WriteString(line + place.run(t, strings.Fields(args)) + "\n")
			commands++
		} else if strings.HasPrefix(line, "# ") {
			now.WriteString(line)
		}
	}
	if commands == 0 {
		t.Fatalf("%s holds no command", file)
	}
	if *update {
		if err := os.WriteFile(file, []byte(now.String()), 0o666); err != nil {
			t.Fatal(err)
		}
	} else if now.String() != string(written) {
		t.Errorf("%s is out of date (-update writes it). Now it says:\n%s", file, now.String())
	}
}

// place is the machine that the commands of a transcript meet: names, each followed by its value. A name such as $DIR
// stands for what differs from run to run.
type place []string

func newPlace(t *testing.T) place {
	t.Helper()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "text"), "This is neither a folder nor a database.\n", 0o600)
	write(t, filepath.Join(dir, "open.keys"), "", 0o644)
	write(t, filepath.Join(dir, "empty.keys"), "# no key\n", 0o600)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return place{
		"$DIR", dir, "$TAKEN", l.Addr().String(),
		"$VERSION", built(), "$GO", runtime.Version(), "$OS", runtime.GOOS + "/" + runtime.GOARCH,
	}
}

// built is the version that this test binary was built from.
func built() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "(devel)"
}

func write(t *testing.T, name, text string, mode os.FileMode) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(name, mode); err != nil { // whatever the umask is
		t.Fatal(err)
	}
}

// run executes one command line and returns what it says.
func (p place) run(t *testing.T, args []string) string {
	t.Helper()
	values := strings.NewReplacer(p...)
	for i := range args {
		args[i] = values.Replace(args[i])
	}
	var stdout, stderr bytes.Buffer
	status := command.Run(t.Context(), args, &stdout, &stderr)
	said := stdout.String()
	for line := range strings.Lines(stderr.String()) {
		said += "2> " + line
	}
	if status != command.OK {
		said += fmt.Sprintf("[%d]\n", status)
	}
	return p.names().Replace(said)
}

// names puts the names back for the values.
func (p place) names() *strings.Replacer {
	var pairs []string
	for i := 0; i < len(p); i += 2 {
		pairs = append(pairs, p[i+1], p[i])
	}
	return strings.NewReplacer(pairs...)
}
