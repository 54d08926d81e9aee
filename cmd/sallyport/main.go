// Command sallyport shows and serves Sallyport, the second door for Go sites. "sallyport demo" runs a small site behind
// that door; "sallyport --help" lists what else there is.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"sallyport/cmd/sallyport/internal/command"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends the program at once
	os.Exit(command.Run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}
