"""How many events of a period there are by this and that, in one reading of the ledger.

The database first counts by all that is asked for at once, which it does in parallel and in bounded memory. What the
report's tables need is summed up from those counts.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.contrib.auth import get_user_model
from django.db import connections

_EVERY = {"events": "true"}
_DAY = {"day": "pg_catalog.to_char(day, 'YYYY-MM-DD')"}


@dataclass(frozen=True, slots=True)
class Grouping:
    """One table: `by` which expressions events are counted, and what else is `shown` of each group.

    Columns that begin with `_` group and aren't shown. `filters` says which filter of the search takes which column,
    `always` those that are the same for each line.
    """

    name: str
    title: str
    by: Mapping[str, str]
    shown: Mapping[str, str] = field(default_factory=dict)
    counts: Mapping[str, str] = field(default_factory=lambda: _EVERY)
    where: str = "true"
    filters: Mapping[str, str] = field(default_factory=dict)
    always: Mapping[str, str] = field(default_factory=dict)
    most: int = 20
    note: str = ""


# Who has no id is told by the type alone; else one id is one actor.
_ACTOR = {"actor_id": "actor_id", "_nameless": "CASE WHEN actor_id = '' THEN actor_type END"}
_ACTOR_SHOWN = {"actor": "max(actor_label)", "type": "max(actor_type)"}
_LEDGER_READS = "action LIKE 'audit.ledger.%' AND action <> 'audit.ledger.restore_denied'"
_RESTORES = "(action LIKE '%.restored' OR action = 'audit.ledger.restore_denied')"


def groupings() -> tuple[Grouping, ...]:
    """Return the report's tables that are counts, in the report's order."""
    user = get_user_model()._meta.label_lower
    logged_in, failed = f"{user}.logged_in", f"{user}.login_failed"
    return (
        Grouping("outcomes", "Outcomes", {"outcome": "outcome"}, filters={"outcome": "outcome"}),
        Grouping(
            "days",
            "Events by day",
            _DAY,
            counts={**_EVERY, "denied": "outcome = 'denied'", "error": "outcome = 'error'"},
            most=400,
        ),
        Grouping("actors", "Who acted", _ACTOR, _ACTOR_SHOWN, filters={"actor": "actor_id"}),
        Grouping("actions", "What was done", {"action": "action"}, filters={"action": "action"}),
        Grouping("object_types", "To what", {"object_type": "object_type"}, filters={"object_type": "object_type"}),
        Grouping("origins", "By which way", {"origin": "origin"}, filters={"origin": "origin"}),
        Grouping(
            "logins",
            "Logins by day",
            _DAY,
            counts={"succeeded": f"action = '{logged_in}'", "failed": f"action = '{failed}'"},
            where=f"action IN ('{logged_in}', '{failed}')",
            always={"action": f"{logged_in},{failed}"},
            most=400,
        ),
        Grouping(
            "outside",
            "Changes made outside the application",
            {"database_user": "database_user", "application": "application", "object_type": "object_type"},
            where="origin = 'sql'",
            filters={"actor": "database_user", "object_type": "object_type"},
            always={"origin": "sql"},
            most=50,
            note="By psql, a script or another program. No filter knows the application: a search finds those of all.",
        ),
        Grouping(
            "refused",
            "Denied, and failed",
            {"outcome": "outcome", "action": "action"},
            where="outcome <> 'success'",
            filters={"outcome": "outcome", "action": "action"},
            most=50,
        ),
        Grouping(
            "destroyed",
            "Deleted and truncated",
            {"action": "action", "object_type": "object_type"},
            where="(action LIKE '%.deleted' OR action LIKE '%.truncated')",
            filters={"action": "action", "object_type": "object_type"},
            most=50,
            note="Deletions are counted row by row; a TRUNCATE is one event, whatever it took.",
        ),
        Grouping(
            "reads",
            "Who read the ledger",
            {"action": "action", **_ACTOR},
            _ACTOR_SHOWN,
            where=_LEDGER_READS,
            filters={"action": "action", "actor": "actor_id"},
            most=50,
            note="Searches, exports, tails and reports, with those that were refused. This report isn't among them.",
        ),
        Grouping(
            "restores",
            "Objects restored from the ledger",
            {"action": "action", "object_type": "object_type", **_ACTOR},
            _ACTOR_SHOWN,
            where=_RESTORES,
            filters={"action": "action", "object_type": "object_type", "actor": "actor_id"},
            most=50,
        ),
    )


_COUNTED = """WITH counted AS MATERIALIZED (
    SELECT (recorded_at AT TIME ZONE 'UTC')::date AS day,
        coalesce(actor_id, '') AS actor_id, coalesce(actor_type, '') AS actor_type, action,
        coalesce(object_type, '') AS object_type, outcome, coalesce(origin, '') AS origin,
        CASE WHEN origin = 'sql' THEN coalesce(context ->> 'database_user', '') END AS database_user,
        CASE WHEN origin = 'sql' THEN coalesce(context ->> 'application_name', '') END AS application,
        max(actor_label COLLATE "C") AS actor_label, count(*) AS events
    FROM public.audit_event WHERE recorded_at >= %s AND recorded_at < %s
    GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9)
"""


def counted(since: datetime, until: datetime, *, using: str = "default") -> dict[str, list[dict[str, Any]]]:
    """Return the groups of each of `groupings` by its name, the largest first, days in turn.

    Each group has a value for each column, `_total`, the events of all groups, and `_groups`, how many groups are.
    It runs within a transaction.
    """
    wanted = groupings()
    sql = _COUNTED + " UNION ALL ".join(map(_select, wanted)).replace("%", "%%")
    with connections[using].cursor() as cursor:
        # The planner takes each group of so many columns for rare, and would sort all of the ledger.
        cursor.execute("SET LOCAL enable_sort = off")
        cursor.execute(sql, [since, until])
        rows = cursor.fetchall()
        cursor.execute("SET LOCAL enable_sort = on")
    found: dict[str, list[dict[str, Any]]] = {one.name: [] for one in wanted}
    columns = {one.name: ([*one.by, *one.shown], list(one.counts)) for one in wanted}
    for name, texts, counts, groups, total in rows:
        text_names, count_names = columns[name]
        group = dict(zip(text_names, texts, strict=True)) | dict(zip(count_names, map(int, counts), strict=True))
        found[name].append({**group, "_groups": groups, "_total": int(total)})
    return found


def _select(one: Grouping) -> str:
    """One table from the counts; the expressions are all ours."""
    texts = ", ".join([*one.by.values(), *one.shown.values()])
    counts = [f"coalesce(sum(events) FILTER (WHERE {condition}), 0)" for condition in one.counts.values()]
    order = "2" if "day" in one.by else f"{' + '.join(counts)} DESC, {', '.join(one.by.values())}"
    return f"""(SELECT '{one.name}', ARRAY[{texts}]::text[], ARRAY[{", ".join(counts)}]::bigint[],
        count(*) OVER (), sum(sum(events)) OVER () FROM counted WHERE {one.where}
    GROUP BY {", ".join(one.by.values())} ORDER BY {order} LIMIT {one.most})"""  # noqa: S608
