"""Whether the ledger is what it should be: which models are captured, by which triggers, and into which partitions."""

import hashlib
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import orjson
from django.apps import AppConfig, apps
from django.db import connections, models
from django.db.backends.base.base import BaseDatabaseWrapper

from audit import capture, partitions, registry

# `elsewhere` is a model of an installed package, which nobody has to decide about.
Decision = Literal["tracked", "exempt", "undecided", "elsewhere"]
CaptureState = Literal["current", "missing", "disabled", "outdated"]

# What the catalogue says of each capturing trigger, by table and trigger name.
Present = dict[tuple[str, str], dict[str, Any]]

_CATALOGUE = Path(__file__).parent / "sql" / "catalogue.sql"
_MOST_COUNTED = 10_000
_KEPT_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Capture:
    """The capture of one event (insert, update, delete, truncate) of one table."""

    table: str
    event: str
    state: CaptureState


@dataclass(frozen=True, slots=True)
class ModelStatus:
    """A model: what was decided about it, why, and what of it is captured."""

    label: str
    decision: Decision
    reason: str = ""
    has_table: bool = True
    captures: tuple[Capture, ...] = ()

    @property
    def is_well(self) -> bool:
        return self.decision != "undecided" and self.has_table and all(one.state == "current" for one in self.captures)


@dataclass(frozen=True, slots=True)
class Partitions:
    """The ledger's partitions: the first moments of the months that have one, and what the default one holds.

    `default_events` counts up to 10,000. `unguarded` names the ledger's tables that lack the append-only guard, or are
    open to somebody besides the owner; to read the ledger as a whole is fine.
    """

    months: tuple[datetime, ...] = ()
    months_ready: int = 0
    default_events: int = 0
    has_default: bool = True
    unguarded: tuple[str, ...] = ()


@dataclass(frozen=True)
class Status:
    """The whole of it; `problems` is empty where all is well."""

    models: tuple[ModelStatus, ...] = ()
    partitions: Partitions = field(default_factory=Partitions)

    @cached_property
    def problems(self) -> list[str]:
        """Return each drift as a sentence that says what to do."""
        return [*_model_problems(self.models), *_partition_problems(self.partitions)]


def read(using: str) -> Status:
    """Return the status of the ledger on the database `using`; any role that reads the ledger may ask."""
    connection = connections[using]
    catalogue = read_catalogue(connection)
    columns_of = capture.read_columns(connection)
    return Status(
        models=tuple(_status_of(model, catalogue["captures"], columns_of) for model in _models()),
        partitions=_partitions(catalogue, connection),
    )


def has_ledger(using: str) -> bool:
    """Return whether the ledger is on the database `using`."""
    connection = connections[using]
    if connection.vendor != "postgresql":
        return False
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_catalog.to_regclass('public.audit_event') IS NOT NULL")
        return bool(cursor.fetchone()[0])


_kept: dict[str, tuple[float, list[str]]] = {}


def recent_problems(using: str) -> list[str]:
    """Return the drifts of the database `using`, looked up at most every half minute in each process: for probes."""
    now = time.monotonic()
    found = _kept.get(using)
    if found is None or now - found[0] > _KEPT_SECONDS:
        found = _kept[using] = (now, read(using).problems)
    return found[1]


def forget() -> None:
    """Have `recent_problems` look anew."""
    _kept.clear()


def is_of_the_project(app: AppConfig) -> bool:
    """Return whether the app is the project's own, and no installed package's."""
    return app.name != "audit" and not {"site-packages", "dist-packages"} & set(Path(app.path).parts)


def _models() -> Iterator[type[models.Model]]:
    registry.tracked_models()  # raises where a registration names nothing
    for app in apps.get_app_configs():
        if app.name != "audit":
            yield from app.get_models()


def read_catalogue(connection: BaseDatabaseWrapper) -> dict[str, Any]:
    """Return what the database says of triggers and partitions, in one look-up."""
    with connection.cursor() as cursor:
        cursor.execute(_CATALOGUE.read_text(encoding="utf-8"))
        text = cursor.fetchone()[0]
    catalogue: dict[str, Any] = orjson.loads(text)
    catalogue["captures"] = {(one["table"], one["name"]): one for one in catalogue["captures"]}
    return catalogue


def _status_of(model: type[models.Model], present: Present, columns_of: capture.ColumnsOf) -> ModelStatus:
    meta = model._meta
    if tracking := registry.tracking_of(model):
        tables = capture.tables_of(model, tracking, columns_of)
        return ModelStatus(
            meta.label,
            "tracked",
            has_table=meta.proxy
            or not meta.managed
            or any(table.name == capture.plain(meta.db_table) for table in tables),
            captures=tuple(one for table in tables for one in states_of(table, present)),
        )
    if reason := registry.exemption_of(model):
        return ModelStatus(meta.label, "exempt", reason)
    return ModelStatus(meta.label, "undecided" if is_of_the_project(meta.app_config) else "elsewhere")


def states_of(table: capture.Table | capture.Link, present: Present) -> Iterator[Capture]:
    """Yield the state of each of a table's captures."""
    triggers = capture.triggers(table)
    for event, sql in capture.functions(table).items():
        found = present.get((table.name, f"audit_{event}"))
        state: CaptureState = "current"
        if found is None:
            state = "missing"
        elif found["enabled"] not in ("O", "A"):
            state = "disabled"
        elif (
            found["body"] != hashlib.md5(sql.split("$capture$")[1].encode(), usedforsecurity=False).hexdigest()
            or not found["is_definer"]
            or _plain(found["definition"]) != _plain(triggers[event])
        ):
            state = "outdated"
        yield Capture(table.name, event, state)


def _plain(definition: str) -> str:
    """A trigger's definition without what the server writes otherwise than we do."""
    return definition.replace('"', "").replace("public.", "").replace("OR REPLACE ", "")


def _partitions(catalogue: dict[str, Any], connection: BaseDatabaseWrapper) -> Partitions:
    ranges = sorted((_time(one["from"]), _time(one["to"])) for one in catalogue["partitions"] if one["from"])
    default = next((one for one in catalogue["partitions"] if one["is_default"]), None)
    months = tuple(start for start, _ in ranges)
    return Partitions(
        months=months,
        months_ready=partitions.months_ready(months),
        # A table that was always empty has no size, which spares the question; any role may see sizes.
        default_events=_count_uncovered(ranges, connection) if default and default["bytes"] else 0,
        has_default=default is not None,
        unguarded=tuple(catalogue["unguarded"]),
    )


def _count_uncovered(ranges: list[tuple[datetime, datetime]], connection: BaseDatabaseWrapper) -> int:
    """Count the events in the default partition. The application may read the ledger alone, not its partitions, so
    this asks for the times that no other partition has: the server then looks into no other.
    """
    conditions, parameters = ["true"], []
    if ranges:
        conditions, parameters = ["recorded_at < %s", "recorded_at >= %s"], [ranges[0][0], ranges[-1][1]]
        for (_, end), (start, _) in pairwise(ranges):
            if end < start:
                conditions.append("(recorded_at >= %s AND recorded_at < %s)")
                parameters += [end, start]
    where = " OR ".join(conditions)
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT count(*) FROM (SELECT FROM public.audit_event WHERE {where} LIMIT {_MOST_COUNTED}) found",  # noqa: S608
            parameters,
        )
        return int(cursor.fetchone()[0])


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def _model_problems(found: tuple[ModelStatus, ...]) -> Iterator[str]:
    for model in found:
        if model.decision == "undecided":
            yield f"{model.label} is neither tracked nor exempt; decide with @audit.track() or @audit.exempt()."
        if not model.has_table:
            yield f"{model.label} has no table; run manage migrate."
        for one in model.captures:
            if one.state != "current":
                yield f"{model.label}: the capture of {one.event} on {one.table} is {one.state}; run manage migrate."


def _partition_problems(found: Partitions) -> Iterator[str]:
    if not found.has_default:
        yield "The ledger has no default partition, so a write can fail; run manage audit_partitions."
    if found.months_ready < 2:
        yield "The partition of this month or the next is missing; run manage audit_partitions, and mend its schedule."
    if found.default_events:
        many = f"{found.default_events:,}" + ("" if found.default_events < _MOST_COUNTED else " or more")
        yield f"The default partition holds events ({many}); run manage audit_partitions."
    for table in found.unguarded:
        yield f"{table} is open to others than its owner, or lacks its append-only guard. Find out who did that."
