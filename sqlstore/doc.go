// Package sqlstore keeps accounts in a relational database: SQLite or PostgreSQL, through database/sql. It brings no
// driver; import one, open the database, bring the schema up to date and make the Store:
//
//	import (
//		_ "modernc.org/sqlite"
//		"sallyport/sqlstore"
//	)
//
//	db, err := sql.Open("sqlite", sqlstore.SQLiteDSN("/var/lib/site/sallyport.db"))
//	...
//	if err := sqlstore.Migrate(ctx, db, sqlstore.SQLite); err != nil { ... }
//	store := sqlstore.New(db, sqlstore.SQLite)
//
// The tables are sallyport_accounts, sallyport_keys, sallyport_events and sallyport_schema; they may live in the
// site's own database. Nothing but Migrate changes a table.
//
// # How a save works
//
// A save is one transaction, or a part of one that can be taken back alone. Its first statement is a conditional INSERT
// or UPDATE of the account's row, and the number of rows that it changed is the verdict: nothing is read first. The row
// then stays locked until the end, so that the account's keys belong to this save alone; keys of other accounts are met
// in the order of their bytes, so that no two saves wait for each other. Each key is one row under a unique index, and
// so is each event.
//
// # SQLite
//
// SQLiteDSN returns what modernc.org/sqlite needs: WAL, synchronous=FULL, a busy timeout, and transactions that begin
// IMMEDIATE. With another driver set the same in its own words; Store.Check refuses a database that would lose writes.
// The saves of one Store do not fight for the file: those that come while a commit is on its way to the disk share the
// next one. Several processes on one machine may share the file. Never put it on a network file system.
//
// # PostgreSQL
//
// Any number of nodes may share one primary. Transactions are READ COMMITTED whatever the default is. A save that
// the server ended because of a deadlock or a serialization failure, as locks of other programs may cause, is run
// again. Statements are prepared on each connection; a pooler between us and the server must keep them.
package sqlstore
