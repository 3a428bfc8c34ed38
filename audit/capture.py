"""The SQL that captures one table: statement triggers with transition tables, generated for its columns.

The functions run as the ledger's owner, so the writing role needs no right on the ledger. The columns are read from
the database's catalogue, not from the model, since a trigger sees the table as it is.
"""

import hashlib
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from string import Template

from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper

from audit.registry import Tracking

EVENTS = ("insert", "update", "delete", "truncate")
_SQL = Path(__file__).parent / "sql"

# Types whose values have no equality operator; their text is compared.
_WITHOUT_EQUALITY = frozenset({"json", "xml", "point", "line", "lseg", "box", "path", "polygon", "circle"})
# The echo holds the one row, or of many the first few, with long values cut shorter than in the ledger.
_EVENT = """pg_catalog.jsonb_build_object(
                'id', {row}.id, 'action', {row}.action, 'object_id', {row}.object_id, 'changes',
                CASE WHEN pg_catalog.pg_column_size({row}.changes) > 65536
                     THEN public.audit_cut_v1({row}.action, {row}.changes, 65536) ELSE {row}.changes END)"""
_COUNT = f"""written_count := written_count + 1;
            IF written_count = 1 THEN
                first_written := written;
            ELSIF written_count <= 5 THEN
                first_events := coalesce(
                    first_events, pg_catalog.jsonb_build_array({_EVENT.format(row="first_written")})
                ) || {_EVENT.format(row="written")};
            END IF;"""

_JSON = frozenset({"json", "jsonb"})
# Types whose text hangs on a session's settings, and what the captures of tables with them set for themselves.
_SETTINGS = (
    (re.compile(r"real|double precision"), "extra_float_digits = 1"),
    (re.compile(r"bytea"), "bytea_output = hex"),
    (re.compile(r"interval"), "IntervalStyle = postgres"),
    (re.compile(r"(?:date|ts|tstz)(?:multi)?range"), "DateStyle = ISO"),
    (re.compile(r"tstz(?:multi)?range"), "TimeZone = UTC"),
)
_PLAIN_KEYS = frozenset({"smallint", "integer", "bigint", "uuid", "text", "character varying"})
# Compared first, since a comparison of these costs next to nothing.
_FIXED_WIDTH = frozenset(
    {"boolean", "smallint", "integer", "bigint", "real", "double precision", "date", "uuid"}
    | {"timestamp with time zone", "timestamp without time zone", "time without time zone", "interval"}
)


@dataclass(frozen=True, slots=True)
class Column:
    name: str
    type: str


@dataclass(frozen=True, slots=True)
class Table:
    """A table to capture: `subject` is the model's label, `key` the columns of its primary key."""

    name: str
    subject: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    next_column: int  # the number that PostgreSQL will give to the next column; once it exists, this capture is old
    mask: frozenset[str] = frozenset()
    exclude: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Link:
    """A many-to-many table, captured as changes of the object at its near end."""

    name: str
    subject: str
    field: str
    near: str
    far: str
    next_column: int


# Gives a table's columns, and the number of the column that it doesn't have yet; no columns where there's no table.
ColumnsOf = Callable[[str], tuple[tuple[Column, ...], int]]


def plain(name: str) -> str:
    """Return the name that Django's `db_table` or `db_column` stands for: in double quotes it is taken verbatim."""
    return name[1:-1].replace('""', '"') if len(name) > 2 and name[0] == name[-1] == '"' else name


def read_columns(connection: BaseDatabaseWrapper) -> ColumnsOf:
    """Read the columns of all tables of the schema `public` in one query."""
    with connection.cursor() as cursor:
        cursor.execute(
            # A domain is its base type; a dropped column has none.
            "SELECT c.relname, a.attname, "
            "pg_catalog.format_type(coalesce(nullif(t.typbasetype, 0), a.atttypid), NULL), a.attnum, a.attisdropped "
            "FROM pg_catalog.pg_class c JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid "
            "LEFT JOIN pg_catalog.pg_type t ON t.oid = a.atttypid "
            "WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND a.attnum > 0 "
            "ORDER BY c.relname, a.attnum"
        )
        rows = cursor.fetchall()
    columns: dict[str, list[Column]] = {}
    last: dict[str, int] = {}
    for table, name, kind, number, is_dropped in rows:
        last[table] = number
        if not is_dropped:
            columns.setdefault(table, []).append(Column(name, kind))
    return lambda table: (tuple(columns.get(plain(table), ())), last.get(plain(table), 0) + 1)


def tables_of(model: type[models.Model], tracking: Tracking, columns_of: ColumnsOf) -> list[Table | Link]:
    """Return what must be captured for `model`: its table if the database has it, and its own m2m tables."""
    meta = model._meta
    found: list[Table | Link] = []
    columns, next_column = columns_of(meta.db_table)
    if columns and not meta.proxy:
        by_name = {
            name: plain(field.column)
            for field in meta.local_fields
            if field.column
            for name in (field.name, field.attname, field.column)
        }
        found.append(
            Table(
                name=plain(meta.db_table),
                subject=meta.label_lower,
                columns=columns,
                key=tuple(plain(field.column) for field in meta.pk_fields if field.column),
                next_column=next_column,
                mask=frozenset(by_name[name] for name in tracking.mask),
                exclude=frozenset(by_name[name] for name in tracking.exclude),
            )
        )
    for field in meta.local_many_to_many:
        through = field.remote_field.through
        if through is None or not through._meta.auto_created:
            continue
        columns, next_column = columns_of(through._meta.db_table)
        if columns:
            found.append(
                Link(
                    next_column=next_column,
                    name=plain(through._meta.db_table),
                    subject=meta.label_lower,
                    field=field.name,
                    near=plain(field.m2m_column_name()),
                    far=plain(field.m2m_reverse_name()),
                )
            )
    return found


def function_name(table: str, event: str) -> str:
    """Return the name of the capturing function, within PostgreSQL's 63 bytes, unique a table."""
    name = f"audit_capture_{table}_{event}"
    if len(name.encode()) <= 63:
        return name
    return f"audit_capture_{table[:20]}_{hashlib.sha256(table.encode()).hexdigest()[:16]}_{event}"


def _any_later_column(number: int) -> str:
    """SQL that is null where the table has no column from `number` on."""
    # A dropped one counts as none, so look behind it. To ask the catalogue for the highest number costs ten times this.
    look = "pg_catalog.has_column_privilege(TG_RELID, {}::smallint, 'SELECT')"
    return f"coalesce({', '.join(look.format(number + ahead) for ahead in range(6))})"


def functions(table: Table | Link) -> dict[str, str]:
    """Return the CREATE FUNCTION statements that capture `table`, by event: insert, update, delete, truncate."""
    parts = _link_parts(table) if isinstance(table, Link) else _table_parts(table)
    drifted = _drifted_link_parts(table) if isinstance(table, Link) else _drifted_table_parts(table)
    template = Template((_SQL / "capture_function.sql").read_text(encoding="utf-8"))
    loop = Template((_SQL / "capture_rows.sql").read_text(encoding="utf-8"))

    def write(rows: str) -> str:
        return loop.substitute(subject=_literal(table.subject), rows=rows, count=_COUNT)

    return {
        event: template.substitute(
            function=quoted(function_name(table.name, event)),
            settings=" ".join(f"SET {setting}" for setting in _settings_of(table)),
            subject=_literal(table.subject),
            any_later_column=_any_later_column(table.next_column),
            write_rows=write(rows),
            write_drifted_rows=write(drifted[event]),
            first_event=_EVENT.format(row="first_written"),
        )
        for event, rows in parts.items()
    }


def _settings_of(table: Table | Link) -> list[str]:
    """What must be set while `table` is captured, so that a value reads the same whoever writes."""
    # Custom plans would be made again and again once a bulk statement has been seen, and be bad for one row. So would a
    # plan whose join goes by files, as one that is made in a bulk statement does in PostgreSQL's 4 MB.
    always = ["plan_cache_mode = force_generic_plan", "work_mem = '64MB'"]
    if isinstance(table, Link):
        return always
    kinds = " ".join(column.type for column in table.columns)
    settings = [setting for pattern, setting in _SETTINGS if pattern.search(kinds)]
    sensitive = table.mask | set(table.key)
    if any(column.type.startswith("timestamp with") and column.name in sensitive for column in table.columns):
        settings.append("TimeZone = UTC")
    return always + sorted(set(settings))


def triggers(table: Table | Link) -> dict[str, str]:
    """Return the CREATE TRIGGER statements for `functions`, by event."""
    name = quoted(table.name)

    def trigger(event: str, referencing: str) -> str:
        return (
            f"CREATE OR REPLACE TRIGGER audit_{event} AFTER {event.upper()} ON public.{name} {referencing}"
            f"FOR EACH STATEMENT EXECUTE FUNCTION public.{quoted(function_name(table.name, event))}()"
        )

    return {
        "insert": trigger("insert", "REFERENCING NEW TABLE AS new_rows "),
        "update": trigger("update", "REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows "),
        "delete": trigger("delete", "REFERENCING OLD TABLE AS old_rows "),
        "truncate": trigger("truncate", ""),
    }


def _table_parts(table: Table) -> dict[str, str]:
    captured = [column for column in table.columns if column.name not in table.exclude]
    label = table.subject
    joined = " AND ".join(f"o.{quoted(key)} = n.{quoted(key)}" for key in table.key)
    first = quoted(table.key[0])
    changed = " OR ".join(
        _differs(column)
        for column in sorted(captured, key=lambda column: column.type not in _FIXED_WIDTH)
        if column.name not in table.key
    )
    differences = "\n        || ".join(
        f"CASE WHEN {_differs(column)} THEN pg_catalog.jsonb_build_object({_literal(column.name)}, "
        f"pg_catalog.jsonb_build_array({_value(table, 'o', column)}, {_value(table, 'n', column)})) "
        "ELSE '{}'::jsonb END"
        for column in captured
        if column.name not in table.key
    )
    whole_old, whole_new = whole(table, "o"), whole(table, "n")
    return {
        "insert": f"SELECT {_literal(f'{label}.created')}, {_key(table, 'n')}, {whole_new} FROM new_rows n",
        # A FULL JOIN: other joins get a cached nested-loop plan from one-row statements. It shows changed keys too.
        "update": f"""SELECT CASE WHEN o.{first} IS NULL THEN {_literal(f"{label}.created")}
                WHEN n.{first} IS NULL THEN {_literal(f"{label}.deleted")}
                ELSE {_literal(f"{label}.updated")} END,
           CASE WHEN n.{first} IS NULL THEN {_key(table, "o")} ELSE {_key(table, "n")} END,
           CASE WHEN o.{first} IS NULL THEN {whole_new} WHEN n.{first} IS NULL THEN {whole_old}
                ELSE '{{}}'::jsonb
        || {differences or "'{}'::jsonb"} END
    FROM old_rows o FULL JOIN new_rows n ON {joined}
    WHERE o.{first} IS NULL OR n.{first} IS NULL{" OR " + changed if changed else ""}""",
        "delete": f"SELECT {_literal(f'{label}.deleted')}, {_key(table, 'o')}, {whole_old} FROM old_rows o",
        "truncate": f"SELECT {_literal(f'{label}.truncated')}, NULL::text, NULL::jsonb",
    }


def _drifted_table_parts(table: Table) -> dict[str, str]:
    """The same events for a table whose columns are no longer `table.columns`, without naming any."""
    label = table.subject
    known, excluded, masked = (
        _array(names) for names in ([column.name for column in table.columns], table.exclude, table.mask)
    )

    def image(alias: str) -> str:
        return (
            f"SELECT public.audit_drifted_key_v1(pg_catalog.to_jsonb({alias}), key_columns) AS key, "
            f"public.audit_drifted_row_v1(pg_catalog.to_jsonb({alias}), {known}, {excluded}, {masked}) AS image "
            f"FROM {'old_rows' if alias == 'o' else 'new_rows'} {alias}"
        )

    return {
        "insert": f"SELECT {_literal(f'{label}.created')}, n.key, n.image FROM ({image('n')}) n",
        "update": f"""SELECT CASE WHEN o.key IS NULL THEN {_literal(f"{label}.created")}
                WHEN n.key IS NULL THEN {_literal(f"{label}.deleted")} ELSE {_literal(f"{label}.updated")} END,
           coalesce(n.key, o.key),
           CASE WHEN o.key IS NULL THEN n.image WHEN n.key IS NULL THEN o.image
                ELSE public.audit_drifted_diff_v1(o.image, n.image) END
    FROM ({image("o")}) o FULL JOIN ({image("n")}) n ON o.key = n.key WHERE o.image IS DISTINCT FROM n.image""",
        "delete": f"SELECT {_literal(f'{label}.deleted')}, o.key, o.image FROM ({image('o')}) o",
        "truncate": f"SELECT {_literal(f'{label}.truncated')}, NULL::text, NULL::jsonb",
    }


def _drifted_link_parts(link: Link) -> dict[str, str]:
    """A link whose columns are unknown is recorded row by row, at no object: which end is which can't be told."""

    def moved(kind: str, rows: str) -> str:
        return (
            f"SELECT {_literal(f'{link.subject}.updated')}, NULL::text, pg_catalog.jsonb_build_object("
            f"{_literal(link.field)}, pg_catalog.jsonb_build_object('{kind}', "
            f"pg_catalog.jsonb_build_array(pg_catalog.to_jsonb(r)))) FROM {rows} r"
        )

    return {
        "insert": moved("added", "new_rows"),
        "update": f"{moved('removed', 'old_rows')} UNION ALL {moved('added', 'new_rows')}",
        "delete": moved("removed", "old_rows"),
        "truncate": _link_parts(link)["truncate"],
    }


def _link_parts(link: Link) -> dict[str, str]:
    near, far = quoted(link.near), quoted(link.far)

    def only(rows: str, others: str) -> str:
        return f"(SELECT {near}, {far} FROM {rows} EXCEPT ALL SELECT {near}, {far} FROM {others})"

    def moved(kind: str, rows: str) -> str:
        return f"""SELECT {_literal(f"{link.subject}.updated")}, r.{near}::text,
           pg_catalog.jsonb_build_object({_literal(link.field)}, pg_catalog.jsonb_build_object(
               '{kind}', pg_catalog.jsonb_agg(r.{far} ORDER BY r.{far})))
    FROM {rows} r GROUP BY r.{near}"""

    return {
        "insert": moved("added", "new_rows"),
        "update": f"{moved('removed', only('old_rows', 'new_rows'))}\n    UNION ALL\n    "
        f"{moved('added', only('new_rows', 'old_rows'))}",
        "delete": moved("removed", "old_rows"),
        "truncate": f"SELECT {_literal(f'{link.subject}.truncated')}, NULL::text, "
        f"pg_catalog.jsonb_build_object({_literal(link.field)}, NULL::jsonb)",
    }


def _differs(column: Column) -> str:
    cast = "::text" if column.type in _WITHOUT_EQUALITY else ""
    name = quoted(column.name)
    return f"o.{name}{cast} IS DISTINCT FROM n.{name}{cast}"


def _value(table: Table, alias: str, column: Column) -> str:
    value = f"{alias}.{quoted(column.name)}"
    if column.name in table.mask:
        return f"public.audit_mask_v1({value}::text)"
    if column.type in _JSON:
        return f"CASE WHEN {_is_ambiguous(value)} THEN {_unambiguous(value)} ELSE {value}::jsonb END"
    return value


def _is_ambiguous(value: str) -> str:
    """Whether JSON would be taken for no value at all, or for one of the ledger's own marks."""
    return (
        f"pg_catalog.jsonb_typeof({value}::jsonb) = 'null' OR (pg_catalog.jsonb_typeof({value}::jsonb) = 'object' "
        f"AND {value}::jsonb ?| ARRAY['masked', 'cut', 'json'])"
    )


def _unambiguous(value: str) -> str:
    return f"pg_catalog.jsonb_build_object('json', {value})"


def whole(table: Table, alias: str) -> str:
    """Return the whole row as SQL for its JSON, without excluded columns and with masked ones masked."""
    names = {column.name for column in table.columns}
    row = f"pg_catalog.to_jsonb({alias})"
    if hidden := sorted((table.exclude | table.mask) & names):
        row += f" - ARRAY[{', '.join(map(_literal, hidden))}]"
    if masked := sorted(table.mask & names - table.exclude):
        pairs = ", ".join(f"{_literal(name)}, public.audit_mask_v1({alias}.{quoted(name)}::text)" for name in masked)
        row = f"({row}) || pg_catalog.jsonb_build_object({pairs})"
    for column in table.columns:
        if column.type in _JSON and column.name not in table.mask | table.exclude:
            value = f"{alias}.{quoted(column.name)}"
            row = (
                f"({row}) || CASE WHEN {_is_ambiguous(value)} THEN pg_catalog.jsonb_build_object("
                f"{_literal(column.name)}, {_unambiguous(value)}) ELSE '{{}}'::jsonb END"
            )
    return row


def _key(table: Table, alias: str) -> str:
    """The object's id as text, the same whoever writes; a composite key as canonical JSON (RFC 8785)."""
    kinds = {column.name: column.type for column in table.columns}
    if len(table.key) == 1:
        key = f"{alias}.{quoted(table.key[0])}"
        # The text of other types hangs on the session: its time zone, its date style.
        return f"{key}::text" if kinds.get(table.key[0]) in _PLAIN_KEYS else f"pg_catalog.to_jsonb({key}) #>> '{{}}'"
    parts = " || ',' || ".join(f"pg_catalog.to_jsonb({alias}.{quoted(key)})::text" for key in table.key)
    return f"'[' || {parts} || ']'"


def quoted(name: str) -> str:
    """Return `name` as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def _array(names: Iterable[str]) -> str:
    return f"ARRAY[{', '.join(map(_literal, sorted(names)))}]::text[]"


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
