package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"testing"
	"time"
)

func main() {
	testing.Init() // testing.Benchmark reads its flags
	short := flag.Bool("short", false, "few rounds: shows that it works, not what it costs")
	rounds := flag.Int("rounds", 15, "how often each side is measured")
	length := flag.Duration("length", 200*time.Millisecond, "of one measurement")
	flag.Parse()
	if *short {
		*rounds, *length = 1, 10*time.Millisecond
	}
	if err := run(os.Stdout, *rounds, *length); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(w io.Writer, rounds int, length time.Duration) error {
	if err := flag.Set("test.benchtime", length.String()); err != nil {
		return err
	}
	dir, err := os.MkdirTemp(".", "bench-") // where the repository is, since a temporary folder may not be on a disk
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	rows, done, err := allRows(context.Background(), dir)
	defer done()
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "%s on %s/%s, %d processors, medians of %d rounds of %v\n\n",
		runtime.Version(), runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), rounds, length)
	return print(w, rows, rounds)
}

// allRows makes what is measured. done lets go of it and may be called after an error.
func allRows(ctx context.Context, dir string) (rows []row, done func(), err error) {
	requests, err := requestRows()
	if err != nil {
		return nil, func() {}, err
	}
	codes, err := codeRows(ctx)
	if err != nil {
		return nil, func() {}, err
	}
	passkeys, err := passkeyRows(ctx)
	if err != nil {
		return nil, func() {}, err
	}
	signIns, done, err := signInRows(ctx, dir)
	return slices.Concat(requests, codes, passkeys, signIns), done, err
}
