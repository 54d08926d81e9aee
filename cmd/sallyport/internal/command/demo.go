package command

import (
	"log/slog"

	"github.com/spf13/cobra"

	"sallyport/cmd/sallyport/internal/demo"
)

const demoLong = `Runs a small site with users, a login and sessions of its own, behind the second door.
It needs nothing else.

The users are alice, bob, carol and sam; the password is demo. In a new folder nobody has a second factor yet: sign
in, add one, sign out and in again. Mails to the users land on the page /outbox.

The first line on standard output is the address, printed when the site answers. Ctrl-C stops it; what was enrolled is
kept in the data folder and there again at the next start.

Several demos with the same --store, --keys and --origin are nodes of one site.`

const demoExample = `  sallyport demo
  sallyport demo --addr localhost:0 --data /tmp/demo

  # two nodes of one site, on PostgreSQL
  sallyport demo --addr localhost:8081 --origin http://localhost:8081 \
      --store postgres://postgres@127.0.0.1/test --keys /tmp/demo.keys
  sallyport demo --addr localhost:8082 --origin http://localhost:8081 \
      --store postgres://postgres@127.0.0.1/test --keys /tmp/demo.keys`

func newDemo() *cobra.Command {
	var o demo.Options
	cmd := &cobra.Command{
		Use:     "demo",
		Short:   "Run a small site behind the second door",
		Long:    demoLong,
		Example: demoExample,
		Args:    noArguments,
	}
	f := cmd.Flags()
	f.SortFlags = false
	f.StringVar(&o.Addr, "addr", "localhost:8080", "`host:port` to listen on; port 0 takes a free one")
	f.StringVar(&o.Data, "data", "", "`folder` for database and keys (default: sallyport/demo in your cache directory)")
	f.StringVar(&o.Store, "store", "",
		"`DSN` of the database: sqlite:PATH or postgres://... (default: demo.db in the folder)")
	f.StringVar(&o.Keys, "keys", "",
		"`file` with the keys that seal what is stored (default: sallyport.keys in the folder)")
	f.StringVar(&o.Origin, "origin", "", "`URL` where browsers reach the site (default: http://localhost:PORT)")
	f.StringVar(&o.Login, "login", "after", "ask for the second factor `when`: after the session was made, or before it is")
	f.BoolVar(&o.TestClock, "test-clock", false, `let anybody move the clock: POST /demo/clock {"advance":"31s"}`)
	cmd.RunE = work(func(cmd *cobra.Command) error {
		o.Log = slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), nil))
		return demo.Run(cmd.Context(), o, cmd.OutOrStdout())
	})
	return cmd
}
