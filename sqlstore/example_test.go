package sqlstore_test

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"

	_ "modernc.org/sqlite"

	"sallyport/sqlstore"
)

// A new database gets its tables, and then holds no record of anybody.
func Example() {
	folder, err := os.MkdirTemp("", "sqlstore")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(folder)
	db, err := sql.Open("sqlite", sqlstore.SQLiteDSN(filepath.Join(folder, "site.db")))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer db.Close()

	ctx := context.Background()
	if err := sqlstore.Migrate(ctx, db, sqlstore.SQLite); err != nil {
		fmt.Println(err)
		return
	}
	store := sqlstore.New(db, sqlstore.SQLite)
	record, err := store.Load(ctx, "17")
	fmt.Println(record.Version, len(record.Data), err)
	// Output: 0 0 <nil>
}
