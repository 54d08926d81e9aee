package e2e_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"github.com/chromedp/chromedp"
)

// browser is the one browser of all tests; nil: there is none.
var browser context.Context

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "sallyport-e2e")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	built.path = filepath.Join(dir, "sallyport")
	path := chromium()
	if path == "" {
		return m.Run()
	}
	ctx, stop, err := start(path)
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s does not start: %v\n", path, err)
		return 1
	}
	defer stop()
	browser = ctx
	return m.Run()
}

func chromium() string {
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	return ""
}

func start(path string) (context.Context, func(), error) {
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true),
		chromedp.Flag("host-resolver-rules", "MAP *.mfa.test 127.0.0.1"), chromedp.Flag("ignore-certificate-errors", true),
		chromedp.Flag("lang", "en-US"), chromedp.Flag("force-color-profile", "srgb"),
		chromedp.Flag("font-render-hinting", "none"),
	)
	allocator, stopAllocator := chromedp.NewExecAllocator(context.Background(), options...)
	ctx, stop := chromedp.NewContext(allocator)
	if err := chromedp.Do(ctx); err != nil {
		stop()
		stopAllocator()
		return nil, nil, err
	}
	return ctx, func() { stop(); stopAllocator() }, nil
}

// required reports whether a test that misses a part must fail.
func required() bool { return os.Getenv("CI") != "" || os.Getenv("SALLYPORT_TEST_REQUIRE") != "" }

// without ends a test that cannot go on: as failed where everything must be there, else as skipped.
func without(t testing.TB, what string) {
	t.Helper()
	if required() {
		t.Fatal(what)
	}
	t.Skip(what)
}

// built is the command, built once.
var built struct {
	path string
	once sync.Once
	err  error
}

func build(t testing.TB) string {
	t.Helper()
	built.once.Do(func() {
		cmd := exec.Command("go", "build", "-o", built.path, "./cmd/sallyport")
		cmd.Dir, cmd.Env = "..", append(os.Environ(), "GOWORK=off")
		if out, err := cmd.CombinedOutput(); err != nil {
			built.err = fmt.Errorf("%w\n%s", err, out)
		}
	})
	if built.err != nil {
		t.Fatalf("building the command: %v", built.err)
	}
	return built.path
}
