"""Fills the ledger, and a peer's table, with the same year of events; see mix.sql."""

import json
import random
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from threading import Event

import psycopg

from config.embedded import addresses, postgres

HERE = Path(__file__).parent
PEER_DATABASE = "bench_auditlog"
_CHUNK = 100_000
_TRANSACTIONS_OF_TWENTY = 12  # as mix.sql has it

_LEDGER_COLUMNS = """recorded_at, txid, action, outcome, object_type, object_id, changes, actor_type, actor_id,
    actor_label, request_id, trace_id, span_id, task_id, origin, operation, context"""
# In the order of `e`, which is that of time: so it comes to lie as a real ledger's.
_INTO_LEDGER = f"""INSERT INTO public.audit_event (id, {_LEDGER_COLUMNS})
    SELECT e, {_LEDGER_COLUMNS.replace("txid", "txid::text::xid8")} FROM bench.events(%s, %s) ORDER BY e"""
# django-auditlog keeps text, and on creation and deletion pairs with 'None'.
_INTO_PEER = """INSERT INTO public.auditlog_logentry (
        content_type_id, object_pk, object_id, object_repr, action, changes_text, changes,
        actor_id, cid, remote_addr, timestamp, actor_email)
    SELECT c.id, object_id, CASE WHEN object_id ~ '^\\d{1,18}$' THEN object_id::bigint END,
        left(object_type || ' ' || object_id, 60),
        CASE WHEN action LIKE '%%.created' THEN 0 WHEN action LIKE '%%.updated' THEN 1
            WHEN action LIKE '%%.deleted' THEN 2 ELSE 3 END, '',
        CASE WHEN action LIKE '%%.updated' THEN changes ELSE (
            SELECT jsonb_object_agg(key, CASE WHEN action LIKE '%%.deleted' THEN jsonb_build_array(value, 'None')
                ELSE jsonb_build_array('None', value) END) FROM jsonb_each_text(changes) each (key, value)) END,
        CASE WHEN actor_id ~ '^\\d+$' THEN actor_id::integer END, nullif(request_id, ''),
        (context ->> 'address')::inet, recorded_at,
        CASE WHEN actor_id ~ '^\\d+$' THEN actor_label || '@example.com' END
    FROM bench.events(%s, %s) LEFT JOIN public.django_content_type c
        ON c.app_label || '.' || c.model = coalesce(nullif(object_type, ''), 'audit.event')
    ORDER BY e"""


def say(text: str) -> None:
    """Tell how far it is."""
    print(text, file=sys.stderr, flush=True)


def words() -> str:
    """Return 1,600 characters of words, the same ones each time."""
    source = random.Random(7)
    known = ["".join(source.choices("etaoinshrdlucmfwyp", k=source.randint(2, 9))) for _ in range(200)]
    return " ".join(source.choices(known, k=600))[:1_600]


def fill(local_dir: Path, *, events: int, peer_events: int) -> None:
    """Write the year's events into the ledger and the peer's table, side by side, and have them vacuumed."""
    with psycopg.connect(addresses.database_url(local_dir, addresses.OWNER_ROLE), autocommit=True) as owner:
        first_txid = _use_up_transactions(owner, events * _TRANSACTIONS_OF_TWENTY // 20 + _TRANSACTIONS_OF_TWENTY)
        _prepare(owner, events, first_txid)
        scale = owner.execute("SELECT begins, ends, first_txid FROM bench.scale").fetchone()
    url = addresses.database_url(local_dir, addresses.OWNER_ROLE)
    superuser_url = addresses.database_url(local_dir, addresses.SUPERUSER)
    stopping = Event()
    jobs: list[Callable[[], None]] = [lambda: _fill_ledger(url, superuser_url, events, stopping)]
    if peer_events:
        with postgres.connect(local_dir, PEER_DATABASE) as superuser:
            _prepare(superuser, events, 0)
            superuser.execute("UPDATE bench.scale SET (begins, ends, first_txid) = (%s, %s, %s)", scale)
            _make_users(superuser)
        peer_url = superuser_url.rpartition("/")[0] + f"/{PEER_DATABASE}"
        # The last events, where there's no room for all.
        jobs.append(lambda: _fill_peer(peer_url, events - peer_events, events, stopping))
    with ThreadPoolExecutor(len(jobs)) as pool:
        try:
            for job in as_completed([pool.submit(job) for job in jobs]):
                job.result()
        except BaseException:  # Ctrl-C too: the pool waits for its threads
            stopping.set()
            raise


def _use_up_transactions(owner: psycopg.Connection, count: int) -> int:
    """Have the cluster give out `count` transaction numbers, and return the first of them.

    So the events' transactions are below the cluster's current one, as in a ledger that grew here, and not above it, as
    in one that was restored from a dump of another cluster.
    """
    row = owner.execute("SELECT pg_current_xact_id()::text::bigint").fetchone()
    assert row
    for given in range(0, count, 1_000_000):
        owner.execute(
            f"DO $$ BEGIN FOR i IN 1 .. {min(1_000_000, count - given)} LOOP"
            " PERFORM pg_current_xact_id(); COMMIT; END LOOP; END $$"
        )
        say(f"transaction numbers: {min(given + 1_000_000, count):,} of {count:,}")
    return int(row[0]) + 1


def _prepare(connection: psycopg.Connection, events: int, first_txid: int) -> None:
    connection.execute((HERE / "mix.sql").read_text(encoding="utf-8").replace("$words", words()))
    connection.execute(
        "INSERT INTO bench.scale SELECT %s, now() - interval '365 days', now(), %s", [events, first_txid]
    )
    connection.execute("ANALYZE bench.mix, bench.agent, bench.scale")


def _make_users(superuser: psycopg.Connection) -> None:
    superuser.execute(
        "INSERT INTO auth_user (id, password, is_superuser, username, first_name, last_name, email, is_staff,"
        " is_active, date_joined) SELECT n, '', false, 'user' || lpad(n::text, 4, '0'), '', '', '', false, true, now()"
        " FROM generate_series(1, 2001) n"
    )
    superuser.execute(
        "INSERT INTO django_content_type (app_label, model) SELECT DISTINCT split_part(object_type, '.', 1),"
        " split_part(object_type, '.', 2) FROM bench.mix WHERE object_type <> ''"
        " UNION SELECT 'audit', 'event' ON CONFLICT DO NOTHING"
    )


def _fill_ledger(url: str, superuser_url: str, events: int, stopping: Event) -> None:
    with psycopg.connect(url, autocommit=True) as owner:
        _in_chunks(owner, _INTO_LEDGER, 0, events, "the ledger", stopping)
        owner.execute("SELECT setval('public.audit_event_id_seq', %s)", [events])
    with psycopg.connect(superuser_url, autocommit=True) as superuser:
        superuser.execute("VACUUM ANALYZE public.audit_event")
        superuser.execute("ANALYZE public.audit_event")
    say("the ledger: vacuumed")


def _fill_peer(url: str, first: int, last: int, stopping: Event) -> None:
    with psycopg.connect(url, autocommit=True) as superuser:
        superuser.execute("SET session_replication_role = replica")  # the look-ups of its foreign keys would cost most
        _in_chunks(superuser, _INTO_PEER, first, last, "auditlog", stopping)
        superuser.execute("VACUUM ANALYZE")
    say("auditlog: vacuumed")


def _in_chunks(
    connection: psycopg.Connection, statement: str, first: int, last: int, name: str, stopping: Event
) -> None:
    begun = time.monotonic()
    for start in range(first, last, _CHUNK):
        if stopping.is_set():
            raise InterruptedError(f"{name} wasn't filled to its end.")
        end = min(start + _CHUNK, last)
        # Numbers from 1 on, as the ids are.
        connection.execute(statement, [start + 1, end])
        seconds = time.monotonic() - begun
        say(f"{name}: {end - first:,} of {last - first:,} events, {seconds:,.0f} s")


def remember(local_dir: Path, about: dict[str, object]) -> None:
    """Keep what a data directory was filled with, for the run that finds it again."""
    (local_dir / "filled.json").write_text(json.dumps(about))


def remembered(local_dir: Path) -> dict[str, object] | None:
    """Return what `remember` kept; None where the directory wasn't filled to the end."""
    path = local_dir / "filled.json"
    return json.loads(path.read_text()) if path.exists() else None
