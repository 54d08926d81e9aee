-- Ids and keys are bytea: they are compared byte by byte and may hold what is not text. Times are microseconds since
-- 1970, 0: never. To read an id: convert_from(user_id, 'UTF8').
CREATE TABLE sallyport_accounts (
	user_id   bytea    NOT NULL PRIMARY KEY,
	version   bigint   NOT NULL,
	data      bytea    NOT NULL,
	key_id    text     COLLATE "C" NOT NULL,
	methods   text     NOT NULL,
	last_used bigint   NOT NULL,
	stopped   smallint NOT NULL,
	changed   bigint   NOT NULL
);

CREATE INDEX sallyport_accounts_key_id ON sallyport_accounts (key_id);

CREATE TABLE sallyport_keys (
	factor_key bytea NOT NULL PRIMARY KEY,
	user_id    bytea NOT NULL
);

CREATE INDEX sallyport_keys_user_id ON sallyport_keys (user_id);

CREATE TABLE sallyport_events (
	event_id  bytea    NOT NULL PRIMARY KEY,
	user_id   bytea    NOT NULL,
	number    bigint   NOT NULL,
	at        bigint   NOT NULL,
	kind      text     NOT NULL,
	method    text     NOT NULL,
	factor_id bytea    NOT NULL,
	actor     bytea    NOT NULL,
	address   bytea    NOT NULL,
	browser   bytea    NOT NULL,
	reason    bytea    NOT NULL,
	known     smallint NOT NULL,
	epoch     bigint   NOT NULL,
	mac       bytea    NOT NULL
);

CREATE INDEX sallyport_events_user_id ON sallyport_events (user_id, number, event_id);
