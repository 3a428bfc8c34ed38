"""A client that is killed at any moment leaves no change without its event, and no event without its change."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.conftest import WaitUntil

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.long]

ROOT = Path(__file__).parents[2]
WORKER = Path(__file__).with_name("kill_worker.py")
SEED = 20_240_612
KILLS = 100
Row = dict[str, Any]


def kill_clients(mode: str) -> dict[str, int]:
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'platform'}", "GLASSHOUSE_PROCESS": "killed"}
    ended = subprocess.run(
        [sys.executable, str(WORKER), mode, str(KILLS), str(SEED)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    where: dict[str, int] = json.loads(ended.stdout.splitlines()[-1])
    return where


def replay(superuser: psycopg.Connection, rows: dict[str, Row]) -> dict[str, Row]:
    """Do again what the events tell, on rows by their ids, each of which must be as its event says that it was."""
    events = superuser.execute(
        "SELECT id, action, object_id, changes, actor_id FROM audit_event WHERE object_type = 'chat.room' ORDER BY id"
    )
    for number, action, key, changes, actor in events:
        told = f"seed {SEED}: event {number}, {action} of {key} by {actor}"
        if action == "chat.room.created":
            assert key not in rows, told
            rows[key] = changes
            assert changes["slug"].startswith(f"client-{actor}-"), told
        elif action == "chat.room.updated":
            for field, (before, after) in changes.items():
                assert rows[key][field] == before, told
                rows[key][field] = after
        else:
            assert action == "chat.room.deleted", told
            assert rows.pop(key) == changes, told
    return rows


@pytest.mark.parametrize("mode", ["autocommit", "transactions"])
def test_the_ledger_replayed_is_the_table_after_a_hundred_kills(
    mode: str, superuser: psycopg.Connection, wait_until: WaitUntil
) -> None:
    def table() -> dict[str, Row]:
        query = "SELECT id::text, to_jsonb(r) - 'last_sequence' FROM chat_room r"
        return dict(superuser.execute(query).fetchall())

    def have_backends_ended() -> bool:
        query = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'glasshouse-killed'"
        return superuser.execute(query).fetchone() == (0,)

    before = table()
    where = kill_clients(mode)
    wait_until(have_backends_ended)  # a statement that the server had begun may be committed after the kill

    assert replay(superuser, before) == table()
    # The kills met writes, and the clients had got far enough for it to mean something.
    assert where["killed"] == KILLS
    assert where["amid"] > KILLS // 4
    count = superuser.execute("SELECT count(*), count(DISTINCT actor_id) FROM audit_event").fetchone()
    assert count is not None
    assert count[0] > KILLS
    assert count[1] > KILLS // 4
