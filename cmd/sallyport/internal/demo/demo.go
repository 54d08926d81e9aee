package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"runtime/debug"
	"time"

	"sallyport"
)

// Options say where a demo listens and keeps its data. The zero value of a field other than Addr is its default.
type Options struct {
	Addr   string // host:port; port 0 takes a free one
	Data   string // folder; made if it is not there. Default: sallyport/demo in the user's cache directory
	Store  string // sqlite:PATH or a postgres URL. Default: demo.db in Data
	Keys   string // key file; made if it is not there. Default: sallyport.keys in Data
	Origin string // where browsers reach the site. Default: http://localhost:PORT

	Login     string       // before or after: when the second factor is asked for. Default: after
	TestClock bool         // lets clients move the clock
	Log       *slog.Logger // nil: slog.Default
}

// Run serves the demo until ctx ends, and then returns nil once the requests under way are answered. It writes where
// it listens to out when it is ready. Errors say what to do about them.
func Run(ctx context.Context, o Options, out io.Writer) error {
	if o.Log == nil {
		o.Log = slog.Default()
	}
	err := run(ctx, o, out)
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return nil // it was stopped while it started
	}
	return err
}

func run(ctx context.Context, o Options, out io.Writer) error {
	if o.Login != "" && o.Login != loginAfter && o.Login != loginBefore {
		return fmt.Errorf("--login %q is neither after nor before", o.Login)
	}
	l, err := listen(ctx, o.Addr)
	if err != nil {
		return err
	}
	defer l.Close()
	port := l.Addr().(*net.TCPAddr).Port
	if o.Origin == "" {
		o.Origin = fmt.Sprintf("http://localhost:%d", port)
	}
	o, err = o.withPlaces()
	if err != nil {
		return err
	}
	if err := checkFile("--keys", o.Keys); err != nil {
		return err
	}
	keys, err := sallyport.KeyFile(o.Keys)()
	if err != nil {
		return fmt.Errorf("--keys: %w", err)
	}
	db, err := openDatabase(ctx, o.Store)
	if err != nil {
		return err
	}
	defer db.Close()
	s, err := newSite(o, db, keys)
	if err != nil {
		return err
	}
	announce(out, o, address(o.Addr, port))
	go debug.FreeOSMemory() // what the start alone has needed
	return serve(ctx, l, s.handler, o.Log)
}

// shutdownTime is how long requests under way may take when the demo is stopped.
const shutdownTime = 3 * time.Second

// serve answers requests until ctx ends.
func serve(ctx context.Context, l net.Listener, h http.Handler, log *slog.Logger) error {
	server := &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       15 * time.Second,
		WriteTimeout:      30 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    32 << 10,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(l) }()
	select {
	case err := <-ended:
		return fmt.Errorf("serving: %w", err)
	case <-ctx.Done():
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTime)
	defer cancel()
	if err := server.Shutdown(last); errors.Is(err, context.DeadlineExceeded) {
		return server.Close() // a browser that holds a connection open does not make the end a failure
	} else if err != nil {
		return fmt.Errorf("stopping: %w", err)
	}
	return nil
}

const welcome = `listening on %[1]s
%[3]s
Try this first:

  1. Open %[2]s/ and sign in as alice; the password is demo. bob, carol and sam are there too.
  2. Add a passkey: %[2]s/mfa/enroll/passkey
     or an authenticator app: %[2]s/mfa/enroll/totp
     Keep the recovery codes that you get.
  3. Sign out and in again: the second door asks for it. Your vault is behind it: %[2]s/vault
     The payout opens with a passkey only: %[2]s/payout
  4. Sign out, and sign in with the passkey alone: %[2]s/login
  5. Read the mails that tell alice what happened to her account: %[2]s/outbox

Ctrl-C stops the demo. What you enrolled is kept.
`

// announce tells that the demo is ready, and what to try first.
func announce(out io.Writer, o Options, address string) {
	var where string
	if o.Data != "" {
		where += "the data is in " + o.Data + "\n"
	}
	if o.Origin != address {
		where += "browsers reach it at " + o.Origin + "\n"
	}
	if o.TestClock {
		where += "test clock: POST " + address + "/demo/clock {\"advance\":\"31s\"}\n"
	}
	fmt.Fprintf(out, welcome, address, o.Origin, where)
}
