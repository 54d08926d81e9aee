-- Ids and keys are BLOBs: they are compared byte by byte. Times are microseconds since 1970, 0: never.
CREATE TABLE sallyport_accounts (
	user_id   BLOB    NOT NULL PRIMARY KEY,
	version   INTEGER NOT NULL,
	data      BLOB    NOT NULL,
	key_id    TEXT    NOT NULL,
	methods   TEXT    NOT NULL,
	last_used INTEGER NOT NULL,
	stopped   INTEGER NOT NULL,
	changed   INTEGER NOT NULL
) STRICT;

CREATE INDEX sallyport_accounts_key_id ON sallyport_accounts (key_id);

CREATE TABLE sallyport_keys (
	factor_key BLOB NOT NULL PRIMARY KEY,
	user_id    BLOB NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX sallyport_keys_user_id ON sallyport_keys (user_id);

CREATE TABLE sallyport_events (
	event_id  BLOB    NOT NULL PRIMARY KEY,
	user_id   BLOB    NOT NULL,
	number    INTEGER NOT NULL,
	at        INTEGER NOT NULL,
	kind      TEXT    NOT NULL,
	method    TEXT    NOT NULL,
	factor_id BLOB    NOT NULL,
	actor     BLOB    NOT NULL,
	address   BLOB    NOT NULL,
	browser   BLOB    NOT NULL,
	reason    BLOB    NOT NULL,
	known     INTEGER NOT NULL,
	epoch     INTEGER NOT NULL,
	mac       BLOB    NOT NULL
) STRICT;

CREATE INDEX sallyport_events_user_id ON sallyport_events (user_id, number, event_id);
