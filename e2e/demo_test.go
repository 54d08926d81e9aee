package e2e_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// demo is the command's demo, running.
type demo struct {
	t   testing.TB
	url string
}

// startDemo runs the demo in a new folder until the test ends.
func startDemo(t testing.TB, flags ...string) *demo {
	t.Helper()
	args := append([]string{"demo", "--addr", "localhost:0", "--data", t.TempDir(), "--test-clock"}, flags...)
	cmd := exec.Command(build(t), args...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var errors bytes.Buffer
	cmd.Stderr = &errors
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(out)
	line, err := lines.ReadString('\n')
	url, found := strings.CutPrefix(strings.TrimSpace(line), "listening on ")
	if err != nil || !found {
		cmd.Process.Kill()
		cmd.Wait()
		t.Fatalf("the demo says %q, %v\n%s", line, err, &errors)
	}
	drained := make(chan struct{})
	go func() {
		io.Copy(io.Discard, lines)
		close(drained)
	}()
	t.Cleanup(func() {
		cmd.Process.Signal(syscall.SIGINT)
		<-drained
		if err := cmd.Wait(); err != nil {
			t.Errorf("the demo ended: %v", err)
		}
		if errors.Len() > 0 {
			t.Errorf("the demo complained:\n%s", &errors)
		}
	})
	return &demo{t: t, url: url}
}

// advance moves the demo's clock and returns its time.
func (d *demo) advance(by time.Duration) time.Time {
	d.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	body := strings.NewReader(`{"advance":"` + by.String() + `"}`)
	r, err := http.NewRequestWithContext(ctx, "POST", d.url+"/demo/clock", body)
	if err != nil {
		d.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		d.t.Fatal(err)
	}
	defer answer.Body.Close()
	var clock struct{ Now time.Time }
	if err := json.NewDecoder(answer.Body).Decode(&clock); err != nil || answer.StatusCode != http.StatusOK {
		d.t.Fatalf("moving the clock: %s, %v", answer.Status, err)
	}
	return clock.Now
}
