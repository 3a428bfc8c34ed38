"""How many bytes an event takes, in its table and in each index."""

from dataclasses import dataclass, field

import psycopg

GOAL_BYTES = 450
TWO_FIELDS = 100_000


@dataclass
class Sizes:
    """Bytes for each event, by part: the table, with its free space and visibility maps, and each index.

    `columns` are those of the table.
    """

    name: str
    events: int
    parts: dict[str, float]
    columns: dict[str, float] = field(default_factory=dict)

    @property
    def total(self) -> float:
        return sum(self.parts.values())


# Each index of each partition under the name of the ledger's own.
_LEDGER = """
WITH RECURSIVE kept AS (
    SELECT relid FROM pg_partition_tree('public.audit_event') WHERE isleaf
), indexes AS (
    SELECT coalesce(parent.relname, c.relname) AS name, c.oid
    FROM kept JOIN pg_index i ON i.indrelid = kept.relid JOIN pg_class c ON c.oid = i.indexrelid
    LEFT JOIN pg_inherits h ON h.inhrelid = c.oid LEFT JOIN pg_class parent ON parent.oid = h.inhparent
)
SELECT 'table', sum(pg_table_size(relid)) FROM kept
UNION ALL SELECT name, sum(pg_relation_size(oid)) FROM indexes GROUP BY name ORDER BY 2 DESC"""
_TABLE = """
SELECT 'table', pg_table_size(%(table)s::regclass)
UNION ALL SELECT c.relname, pg_relation_size(c.oid) FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
WHERE i.indrelid = %(table)s::regclass ORDER BY 2 DESC"""
# A title and a time change, in a request with all that a browser and its tracing tell, one event in each.
_FILL_TWO_FIELDS = """
INSERT INTO bench.two_fields (id, recorded_at, txid, action, object_type, object_id, changes, actor_type, actor_id,
    actor_label, request_id, trace_id, span_id, task_id, origin, operation, context)
SELECT n, moment, n::text::xid8, 'blog.post.updated', 'blog.post', (bench.random(n, 1) %% 12000)::text,
    jsonb_build_object('title', jsonb_build_array(bench.words(n, 30), bench.words(n + 1, 34)),
                       'updated_at', jsonb_build_array(moment - interval '3 days', moment)),
    'user', actor::text, 'user' || lpad(actor::text, 4, '0'),
    bench.uuid7(moment, n), md5('t' || n), left(md5('s' || n), 16), '', 'http', 'POST /blog/<slug>/edit/',
    jsonb_build_object(
        'address', '100.64.' || actor / 250 || '.' || actor %% 250, 'agent', agent.text, 'release', '0.1.0')
FROM generate_series(1, %s) n
CROSS JOIN LATERAL (SELECT now() - interval '30 days' + n * interval '25 seconds' AS moment,
    (2000 * bench.share(n, 4) ^ 2)::integer + 1 AS actor OFFSET 0) one
JOIN bench.agent ON agent.number = actor %% 4 ORDER BY 1"""


def of_ledger(superuser: psycopg.Connection) -> Sizes:
    """Return what an event of the whole mix takes."""
    return _sizes(
        "the ledger, all kinds of events", superuser.execute(_LEDGER).fetchall(), _count(superuser, "audit_event")
    )


def of_peer(superuser: psycopg.Connection) -> Sizes:
    """Return what the same events take in django-auditlog's table."""
    rows = superuser.execute(_TABLE, {"table": "public.auditlog_logentry"}).fetchall()
    return _sizes("django-auditlog, the same events", rows, _count(superuser, "auditlog_logentry"))


def of_two_fields(superuser: psycopg.Connection) -> Sizes:
    """Return what an update of two fields takes, in a table of such events alone with the ledger's indexes."""
    superuser.execute("DROP TABLE IF EXISTS bench.two_fields")
    superuser.execute("CREATE TABLE bench.two_fields (LIKE public.audit_event INCLUDING ALL)")
    superuser.execute(_FILL_TWO_FIELDS, [TWO_FIELDS])
    superuser.execute("VACUUM ANALYZE bench.two_fields")
    rows = superuser.execute(_TABLE, {"table": "bench.two_fields"}).fetchall()
    found = _sizes("an update of two fields in a request", rows, TWO_FIELDS)
    found.columns = _columns(superuser)
    superuser.execute("DROP TABLE bench.two_fields")
    return found


def _columns(superuser: psycopg.Connection) -> dict[str, float]:
    names = superuser.execute("SELECT * FROM bench.two_fields LIMIT 0").description or []
    sums = ", ".join(f"avg(pg_column_size({one.name}))" for one in names)
    row = superuser.execute(f"SELECT {sums} FROM bench.two_fields").fetchone()
    assert row
    found = {one.name: float(size or 0) for one, size in zip(names, row, strict=True)}
    return dict(sorted(found.items(), key=lambda item: -item[1]))


def _count(superuser: psycopg.Connection, table: str) -> int:
    row = superuser.execute(f"SELECT count(*) FROM public.{table}").fetchone()
    assert row
    return int(row[0])


def _sizes(name: str, rows: list[tuple[str, int]], events: int) -> Sizes:
    return Sizes(name, events, {part: float(size) / events for part, size in rows})
