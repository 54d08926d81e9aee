package main_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// program is the command, built once.
var program string

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "sallyport-command")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	program = filepath.Join(dir, "sallyport")
	if out, err := exec.Command("go", "build", "-o", program, ".").CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "building the command: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}

// process is a demo that is running.
type process struct {
	cmd    *exec.Cmd
	url    string
	stderr bytes.Buffer
	rest   chan struct{} // closed when its standard output is
}

// demo starts a demo and waits until it says where it listens.
func demo(t *testing.T, flags ...string) *process {
	t.Helper()
	p := &process{rest: make(chan struct{})}
	p.cmd = exec.Command(program, append([]string{"demo", "--addr", "localhost:0"}, flags...)...)
	p.cmd.Stderr = &p.stderr
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.cmd.Process.Kill() })
	lines := bufio.NewReader(out)
	first, err := lines.ReadString('\n')
	var found bool
	if p.url, found = strings.CutPrefix(strings.TrimSuffix(first, "\n"), "listening on "); !found {
		p.cmd.Wait()
		t.Fatalf("the first line is %q, %v\n%s", first, err, &p.stderr)
	}
	go func() {
		io.Copy(io.Discard, lines)
		close(p.rest)
	}()
	return p
}

// end sends a signal and returns how the process ended.
func (p *process) end(s os.Signal) error {
	if err := p.cmd.Process.Signal(s); err != nil {
		return err
	}
	<-p.rest
	return p.cmd.Wait()
}

func TestASignalStopsTheDemoCleanly(t *testing.T) {
	for _, s := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM} {
		p := demo(t, "--data", t.TempDir())
		if res, err := http.Get(p.url); err != nil || res.Body.Close() != nil || res.StatusCode != http.StatusOK {
			t.Errorf("the home page = %v, %v", res, err)
		}
		if err := p.end(s); err != nil || p.stderr.Len() > 0 {
			t.Errorf("%v ends the demo with %v, want status 0 and no complaint\n%s", s, err, &p.stderr)
		}
	}
}

func TestTheStatusReachesTheShell(t *testing.T) {
	taken := demo(t, "--data", t.TempDir())
	for _, c := range []struct {
		args   []string
		status int
	}{
		{[]string{"version"}, 0},
		{[]string{"nope"}, 2},
		{[]string{"demo", "--data", t.TempDir(), "--addr", strings.TrimPrefix(taken.url, "http://")}, 1},
	} {
		var stderr bytes.Buffer
		cmd := exec.Command(program, c.args...)
		cmd.Stderr = &stderr
		err := cmd.Run()
		var exit *exec.ExitError
		if err != nil && !errors.As(err, &exit) {
			t.Fatal(err)
		}
		lines := strings.Count(stderr.String(), "\n")
		if got := cmd.ProcessState.ExitCode(); got != c.status || lines > 1 || (lines == 1) != (c.status != 0) {
			t.Errorf("sallyport %v: status %d, want %d and at most one line\n%s", c.args, got, c.status, &stderr)
		}
	}
}

// Processes that start at the same moment in a new place make one database and one key file.
func TestProcessesThatStartTogetherAreOneSite(t *testing.T) {
	dir := t.TempDir()
	flags := []string{
		"--store", "sqlite:" + filepath.Join(dir, "demo.db"), "--keys", filepath.Join(dir, "keys"),
		"--origin", "http://localhost:8080",
	}
	nodes := make([]*process, 3)
	var started sync.WaitGroup
	for i := range nodes {
		started.Go(func() { nodes[i] = demo(t, flags...) })
	}
	started.Wait()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Jar: jar}
	signIn := url.Values{"username": {"alice"}, "password": {"demo"}}
	for _, p := range nodes {
		if p == nil {
			t.Fatal("a node did not start")
		}
		if signIn != nil { // at the first node only
			res, err := client.PostForm(p.url+"/login", signIn)
			if err != nil {
				t.Fatal(err)
			}
			res.Body.Close()
			signIn = nil
		}
		res, err := client.Get(p.url + "/account")
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(res.Body)
		res.Body.Close()
		if err != nil || !strings.Contains(string(text), "canary:account:alice") {
			t.Errorf("the account on %s = %s, %v, want alice's", p.url, res.Status, err)
		}
	}
	for _, p := range nodes {
		if err := p.end(os.Interrupt); err != nil {
			t.Errorf("a node ended: %v\n%s", err, &p.stderr)
		}
	}
}
