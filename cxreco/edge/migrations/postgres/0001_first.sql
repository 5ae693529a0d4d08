-- Where each order of arrival ends. Its first row is the pen: who writes holds it, from before a seq is given until
-- after the commit that shows the rows, so that nobody sees a row before an earlier one.
CREATE TABLE ends (name text COLLATE "C" PRIMARY KEY, seq bigint NOT NULL);
INSERT INTO ends VALUES ('log', 0), ('items', 0);
CREATE TABLE log (
    seq bigint PRIMARY KEY,
    uid text COLLATE "C" NOT NULL UNIQUE,
    kind text COLLATE "C" NOT NULL,
    customer_id text COLLATE "C" NOT NULL,
    at bigint NOT NULL,
    body bytea NOT NULL,
    blob bytea
);
-- It is deflated already.
ALTER TABLE log ALTER COLUMN blob SET STORAGE EXTERNAL;
CREATE INDEX log_customer ON log (customer_id, seq);
CREATE INDEX log_kind ON log (kind, seq);
CREATE TABLE aliases (
    anonymous_id text COLLATE "C" NOT NULL,
    customer_id text COLLATE "C" NOT NULL,
    seq bigint NOT NULL,
    PRIMARY KEY (anonymous_id, customer_id)
);
CREATE INDEX aliases_customer ON aliases (customer_id);
CREATE TABLE requests (
    request_id text COLLATE "C" PRIMARY KEY,
    digest text NOT NULL,
    decision_id text COLLATE "C" NOT NULL
);
CREATE INDEX requests_decision ON requests (decision_id);
CREATE TABLE items (
    seq bigint PRIMARY KEY,
    item_id text COLLATE "C" NOT NULL,
    arrived_at bigint NOT NULL,
    body bytea NOT NULL
);
CREATE INDEX items_item ON items (item_id, seq);
CREATE TABLE codes (
    kind text COLLATE "C" NOT NULL,
    id text COLLATE "C" NOT NULL,
    code integer NOT NULL,
    PRIMARY KEY (kind, id),
    UNIQUE (kind, code)
);
CREATE TABLE meta (key text COLLATE "C" PRIMARY KEY, value text NOT NULL);
