"""What is said to PostgreSQL: each write is one statement, so that a group of them is one journey there and back.

Writes rely on the caller holding the pen (`PEN`) in a READ COMMITTED transaction: every statement then sees all that
was committed before the pen was taken, and what those before it wrote.
"""

COLUMNS = "seq, uid, kind, customer_id, at, body, blob"

# Held until the commit; a commit is visible before its locks are let go.
PEN = "SELECT seq FROM ends WHERE name = 'log' FOR UPDATE"

# A row that is there already leaves a gap in the order: cheaper than looking first.
APPEND = """
WITH ended AS (UPDATE ends SET seq = seq + %(n)s WHERE name = 'log' RETURNING seq - %(n)s AS before)
INSERT INTO log (seq, uid, kind, customer_id, at, body, blob)
SELECT ended.before + n, uid, kind, customer_id, at, body, blob
FROM ended, unnest(
    %(uid)b::text[], %(kind)b::text[], %(customer_id)b::text[], %(at)b::int8[], %(body)b::bytea[], %(blob)b::bytea[]
) WITH ORDINALITY AS t (uid, kind, customer_id, at, body, blob, n)
ON CONFLICT (uid) DO NOTHING
"""

ROOT = """
root AS (
    SELECT coalesce(
        (SELECT customer_id FROM aliases WHERE anonymous_id = %(customer_id)s ORDER BY seq DESC, customer_id LIMIT 1),
        %(customer_id)s
    ) AS id
)
"""

# An id that was identified before stays with whom it was; nobody becomes a name of themselves.
JOIN = f"""
WITH ended AS (UPDATE ends SET seq = seq + 1 WHERE name = 'log' RETURNING seq),
told AS (
    INSERT INTO log (seq, uid, kind, customer_id, at, body, blob)
    SELECT seq, %(uid)s, %(kind)s, %(customer_id)s, %(at)s, %(body)b, %(blob)b FROM ended
    ON CONFLICT (uid) DO NOTHING RETURNING seq
), {ROOT}, joined AS (
    INSERT INTO aliases (anonymous_id, customer_id, seq)
    SELECT names.name, root.id, told.seq FROM told, root, (
        SELECT %(alias)s AS name UNION ALL SELECT anonymous_id FROM aliases WHERE customer_id = %(alias)s
    ) AS names
    WHERE root.id <> %(alias)s AND NOT EXISTS (SELECT FROM aliases WHERE anonymous_id = %(alias)s)
    ON CONFLICT DO NOTHING
)
SELECT seq FROM told
"""

PLACE = """
WITH earlier AS (SELECT digest, decision_id FROM requests WHERE request_id = %(request_id)s),
there AS (SELECT seq FROM log WHERE uid = %(uid)s),
names AS (
    SELECT %(canonical)s AS name UNION ALL SELECT anonymous_id FROM aliases WHERE customer_id = %(canonical)s
),
ended AS (
    UPDATE ends SET seq = seq + 1
    WHERE name = 'log' AND NOT EXISTS (SELECT FROM earlier) AND NOT EXISTS (SELECT FROM there)
        AND (%(upon)s::int8 IS NULL OR %(upon)s = coalesce((
            SELECT max((SELECT max(seq) FROM log WHERE customer_id = names.name)) FROM names
        ), 0))
    RETURNING seq
),
placed AS (
    INSERT INTO log (seq, uid, kind, customer_id, at, body, blob)
    SELECT seq, %(uid)s, %(kind)s, %(customer_id)s, %(at)s, %(body)b, %(blob)b FROM ended
),
asked AS (
    INSERT INTO requests (request_id, digest, decision_id)
    SELECT %(request_id)s, %(digest)s, %(decision_id)s FROM ended WHERE %(request_id)s <> ''
)
SELECT coalesce((SELECT seq FROM ended), (SELECT seq FROM there), 0), digest, decision_id
FROM (VALUES (0)) AS one LEFT JOIN earlier ON true
"""

# A version that arrived with a try whose outcome was not learned is not news, though a later one followed it.
ITEMS = """
WITH compared AS (
    SELECT *, lag(body) OVER (PARTITION BY item_id ORDER BY n) AS before
    FROM unnest(%(item_id)b::text[], %(arrived_at)b::int8[], %(body)b::bytea[])
        WITH ORDINALITY AS t (item_id, arrived_at, body, n)
),
fresh AS (
    SELECT item_id, arrived_at, body, row_number() OVER (ORDER BY n) AS k FROM compared
    WHERE body IS DISTINCT FROM coalesce(
        before, (SELECT i.body FROM items i WHERE i.item_id = compared.item_id ORDER BY i.seq DESC LIMIT 1)
    ) AND NOT (%(again)s AND EXISTS (
        SELECT FROM items i
        WHERE i.item_id = compared.item_id AND i.arrived_at = compared.arrived_at AND i.body = compared.body
    ))
),
ended AS (
    UPDATE ends SET seq = seq + (SELECT count(*) FROM fresh) WHERE name = 'items'
    RETURNING seq - (SELECT count(*) FROM fresh) AS before
)
INSERT INTO items (seq, item_id, arrived_at, body) SELECT ended.before + k, item_id, arrived_at, body FROM ended, fresh
"""

CODES = """
WITH given AS (
    SELECT kind, id, min(n) AS n FROM unnest(%(kind)b::text[], %(id)b::text[]) WITH ORDINALITY AS t (kind, id, n)
    GROUP BY kind, id
),
fresh AS (
    SELECT kind, id, row_number() OVER (PARTITION BY kind ORDER BY n) AS k FROM given
    WHERE NOT EXISTS (SELECT FROM codes c WHERE c.kind = given.kind AND c.id = given.id)
)
INSERT INTO codes (kind, id, code)
SELECT kind, id, k + coalesce((SELECT max(code) FROM codes c WHERE c.kind = fresh.kind), -1) FROM fresh
"""

ERASE = f"""
WITH {ROOT},
names AS (SELECT id AS name FROM root UNION SELECT anonymous_id FROM aliases, root WHERE customer_id = root.id),
gone AS (DELETE FROM log WHERE customer_id IN (SELECT name FROM names) RETURNING uid, kind),
asked AS (
    DELETE FROM requests WHERE decision_id IN (SELECT substr(uid, 3) FROM gone WHERE kind = 'decision')
),
joined AS (
    DELETE FROM aliases
    WHERE customer_id IN (SELECT name FROM names) OR anonymous_id IN (SELECT name FROM names)
)
SELECT count(*) FROM gone
"""

META = """
WITH kept AS (INSERT INTO meta VALUES (%(key)s, %(value)s) ON CONFLICT DO NOTHING RETURNING value)
SELECT value FROM kept UNION ALL SELECT value FROM meta WHERE key = %(key)s LIMIT 1
"""

GROUP = f"""
WITH {ROOT},
names AS (
    SELECT id AS name, 0::int8 AS joined FROM root
    UNION ALL SELECT anonymous_id, seq FROM aliases, root WHERE customer_id = root.id
)
SELECT name, joined, (SELECT min(seq) FROM log WHERE customer_id = names.name),
    (SELECT max(seq) FROM log WHERE customer_id = names.name)
FROM names
"""

CUSTOMER_LOG = f"""
SELECT {COLUMNS} FROM log WHERE customer_id = ANY(%(names)s) AND seq > %(after)s AND seq <= %(upto)s ORDER BY seq
"""
DECISION = f"SELECT {COLUMNS} FROM log WHERE uid = %(uid)s"
REQUEST = "SELECT digest, decision_id FROM requests WHERE request_id = %(request_id)s"
SCAN = f"SELECT {COLUMNS} FROM log WHERE seq > %(after)s AND seq <= %(upto)s ORDER BY seq LIMIT %(batch)s"
SCAN_KINDS = f"""
SELECT {COLUMNS} FROM log WHERE seq > %(after)s AND seq <= %(upto)s AND kind = ANY(%(kinds)s) ORDER BY seq
LIMIT %(batch)s
"""
ALIASES = "SELECT anonymous_id, customer_id, seq FROM aliases ORDER BY seq, anonymous_id, customer_id"
ITEMS_READ = """
SELECT seq, item_id, arrived_at, body FROM items WHERE seq > %(after)s AND seq <= %(upto)s ORDER BY seq
"""
# There are a handful of kinds and many ids: from kind to kind by the index.
CODES_READ = """
WITH RECURSIVE kinds AS (
    SELECT min(kind) AS kind FROM codes
    UNION ALL SELECT (SELECT min(kind) FROM codes WHERE codes.kind > kinds.kind) FROM kinds WHERE kinds.kind IS NOT NULL
)
SELECT codes.kind, codes.id, codes.code FROM kinds JOIN codes ON codes.kind = kinds.kind
WHERE codes.code >= coalesce((%(after)s::jsonb ->> kinds.kind)::int, 0)
ORDER BY codes.kind, codes.code
"""
END = "SELECT seq FROM ends WHERE name = %(name)s"
