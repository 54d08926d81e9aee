// Command nethttp is a complete small site on net/http: two users, a login and sessions of its own in site.go, and
// Sallyport in front of it. Run it in a folder that it may write to, open http://localhost:8080/ and sign in as alice
// with the password "wonderland"; then add an authenticator app at http://localhost:8080/mfa/.
package main

import (
	"cmp"
	"context"
	"database/sql"
	"log"
	"net/http"
	"os"

	_ "modernc.org/sqlite"

	"sallyport"
	"sallyport/sqlstore"
)

func main() {
	addr := "localhost:" + cmp.Or(os.Getenv("PORT"), "8080")
	origin := "http://" + addr
	site, user := newSite()
	keys := sallyport.KeyFile("sallyport.keys")
	store, err := openStore("sallyport.db")
	if err != nil {
		log.Fatal(err)
	}
	log.Print("the site is at ", origin)

	guard, err := sallyport.New(sallyport.Config{Origin: origin, Store: store, Keys: keys, User: user})
	if err != nil {
		log.Fatal(err)
	}
	log.Fatal(http.ListenAndServe(addr, guard.Protect(site)))
}

// openStore opens a database and brings its tables up to date. It may be the database that the site has already.
func openStore(path string) (*sqlstore.Store, error) {
	db, err := sql.Open("sqlite", sqlstore.SQLiteDSN(path))
	if err != nil {
		return nil, err
	}
	if err := sqlstore.Migrate(context.Background(), db, sqlstore.SQLite); err != nil {
		return nil, err
	}
	return sqlstore.New(db, sqlstore.SQLite), nil
}
