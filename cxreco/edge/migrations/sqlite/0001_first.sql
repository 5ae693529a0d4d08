-- AUTOINCREMENT: the seq of an erased row is not given again.
CREATE TABLE log (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    uid TEXT NOT NULL UNIQUE,
    kind TEXT NOT NULL,
    customer_id TEXT NOT NULL,
    at INTEGER NOT NULL,
    body BLOB NOT NULL,
    blob BLOB
);
CREATE INDEX log_customer ON log (customer_id, seq);
CREATE TABLE aliases (
    anonymous_id TEXT NOT NULL,
    customer_id TEXT NOT NULL,
    seq INTEGER NOT NULL,
    PRIMARY KEY (anonymous_id, customer_id)
) WITHOUT ROWID;
CREATE INDEX aliases_customer ON aliases (customer_id);
CREATE TABLE requests (
    request_id TEXT PRIMARY KEY,
    digest TEXT NOT NULL,
    decision_id TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX requests_decision ON requests (decision_id);
CREATE TABLE items (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    item_id TEXT NOT NULL,
    arrived_at INTEGER NOT NULL,
    body BLOB NOT NULL
);
CREATE INDEX items_item ON items (item_id, seq);
CREATE TABLE codes (
    kind TEXT NOT NULL,
    id TEXT NOT NULL,
    code INTEGER NOT NULL,
    PRIMARY KEY (kind, id),
    UNIQUE (kind, code)
) WITHOUT ROWID;
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
