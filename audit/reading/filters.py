"""What may be asked of the ledger: each filter with its meaning and an example, for API, pages and commands alike."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from django.db.models import BooleanField, Q
from django.db.models.expressions import RawSQL
from django.utils.dateparse import parse_date, parse_datetime

from audit.errors import FilterError
from audit.reading.access import Access
from audit.registry import personal_fields

_LONGEST = 2_000
_OUTCOMES = ("success", "denied", "error")
_CHANGE = re.compile(r"changes\.(?P<field>[^.\s][^.]{0,199})\.(?P<side>from|to)")
_MOST_WORDS = 10


@dataclass(frozen=True, slots=True)
class Filter:
    """One filter as people see it; `index` says whether an index serves it, so that it's quick over any time."""

    name: str
    help: str
    example: str
    index: bool = False

    @property
    def label(self) -> str:
        """Return what a form calls it."""
        return {"q": "Words", "since": "Since (UTC)", "until": "Until (UTC)"}.get(
            self.name, self.name.replace("_", " ").capitalize()
        )


FILTERS = (
    Filter("object_type", "The type of the object concerned; of several, apart by commas, any.", "blog.post", True),
    Filter("object_id", "The object's id. Give its type as well.", "42", True),
    Filter("actor", "The id of who acted, such as a user's; `!7` leaves one out.", "7", True),
    Filter(
        "action",
        "An action; `blog.` or `blog.*` takes all that begin so, `!audit.` leaves them out; of several, any.",
        "blog.post.updated,!blog.post.viewed",
        True,
    ),
    Filter("outcome", "`success`, `denied` or `error`; `!success` is what went wrong.", "denied", True),
    Filter(
        "request",
        "The id of the request that caused it, in whichever process.",
        "01a20a147022726bbca69b411c9f6b6f",
        True,
    ),
    Filter("trace", "The trace id, 32 hexadecimal digits.", "30e0d5bf376d27c47afce5d1f8ca0097", True),
    Filter("task", "The id of the background task that did it.", "01a20a13-5806-7e2e-aa24-03134997b5fb", True),
    Filter("transaction", "The number of the database's transaction, as `txid` of an event has it.", "943", True),
    Filter(
        "origin", "`http`, `websocket`, `task`, `beat`, `command`, `shell` or `sql`; `!http` leaves one out.", "sql"
    ),
    Filter("address", "The client's address. Needs the permission to see personal values.", "192.0.2.7"),
    Filter("since", "Recorded at or after, ISO 8601; UTC where no offset is given.", "2026-03-01T00:00:00Z", True),
    Filter("until", "Recorded before, ISO 8601; a date alone includes none of that day.", "2026-04-01", True),
    Filter("changed", "A field that changed, or was set on creation; many-to-many fields too.", "status"),
    Filter(
        "q",
        "Words that all occur in the action, object, actor's name, operation or reason; for those who may see personal"
        " values, in the changes as well.",
        "refund",
    ),
)
BY_NAME = {one.name: one for one in FILTERS}
CHANGES_FROM = Filter("changes.<field>.from", "The value of a field before; `null` is none.", "draft")
CHANGES_TO = Filter(
    "changes.<field>.to", "The value of a field after, or one added to a many-to-many field.", "published"
)


@dataclass(frozen=True, slots=True)
class Terms:
    """What a filter with several values takes and leaves out; each ends with `*` where it's a beginning."""

    wanted: tuple[str, ...] = ()
    unwanted: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Search:
    """A search of the ledger that was understood: `given` is what was asked, word for word, without empty filters."""

    given: Mapping[str, str]
    conditions: Q
    since: datetime | None = None
    until: datetime | None = None


EVERYTHING = Search({}, Q())


def parse(asked: Mapping[str, Any], access: Access) -> Search:
    """Return the search that `asked` describes, within what `access` lets its reader see.

    Raises:
        FilterError: a filter is unknown, malformed, or asks for what the reader may not see; all are named at once.
    """
    given = {name: stripped for name, text in asked.items() if (stripped := str(text).strip())}
    problems: dict[str, list[str]] = {}
    found = _visible_to(access)
    times: dict[str, datetime] = {}
    for name, text in given.items():
        try:
            if name in ("since", "until"):
                times[name] = moment(text)
            else:
                found &= _condition(name, text, given, access)
        except ValueError as error:
            problems[name] = [str(error)]
    if "object_id" in given and "object_type" not in given:
        problems["object_id"] = ["An id is one of a type: give object_type as well."]
    if len(times) == 2 and times["since"] >= times["until"]:
        problems["until"] = ["`until` has to be later than `since`."]
    if problems:
        raise FilterError(problems)
    if "since" in times:
        found &= Q(recorded_at__gte=times["since"])
    if "until" in times:
        found &= Q(recorded_at__lt=times["until"])
    return Search(given, found, times.get("since"), times.get("until"))


def moment(text: str) -> datetime:
    """Return the time that `text` means, in UTC where it names no offset.

    Raises:
        ValueError: it's no ISO 8601 date or time.
    """
    try:
        found = parse_datetime(text.replace(" ", "+") if re.search(r" \d\d:?\d\d$", text) else text)
        if found is None and (day := parse_date(text)):
            found = datetime(day.year, day.month, day.day, tzinfo=UTC)
    except ValueError:
        found = None
    if found is None or not 1970 <= found.year <= 9000:
        raise ValueError(f"“{text[:100]}” is no time. Write one as 2026-03-01 or 2026-03-01T14:30:00Z.")
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _visible_to(access: Access) -> Q:
    return Q() if access.object_types is None else Q(object_type__in=sorted(access.object_types))


def _condition(name: str, text: str, given: Mapping[str, str], access: Access) -> Q:
    if len(text) > _LONGEST:
        raise ValueError(f"At most {_LONGEST:,} characters.")
    if "\x00" in text:
        raise ValueError("No text in the ledger has a NUL.")
    if change := _CHANGE.fullmatch(name):
        _refuse_personal(change["field"], given, access)
        return Q(_changed_value(change["field"], change["side"], text))
    match name:
        case "object_type":
            return _matching("object_type", _terms(text.lower()))
        case "object_id":
            return Q(object_id=text)
        case "actor":
            return _matching("actor_id", _terms(text))
        case "action":
            return _matching("action", _terms(text, ends_with_dot=True))
        case "origin":
            return _matching("origin", _terms(text))
        case "outcome":
            return _outcome(_terms(text))
        case "request":
            return Q(request_id=text)
        case "trace":
            same_hash = "pg_catalog.hashtext(trace_id) = pg_catalog.hashtext(%s)"
            return Q(RawSQL(same_hash, [text.lower()], BooleanField())) & Q(trace_id=text.lower())  # noqa: S611
        case "task":
            return Q(task_id=text)
        case "transaction":
            if not (text.isascii() and text.isdigit() and int(text) < 2**63):
                raise ValueError("A transaction's number has digits only.")
            return Q(RawSQL("txid::text::bigint = %s", [int(text)], BooleanField()))
        case "address":
            if not access.sees_personal:
                raise ValueError("Addresses are personal: searching them needs the permission audit.view_personal.")
            return Q(context__address=text)
        case "changed":
            return Q(RawSQL("changes -> %s IS NOT NULL", [text], BooleanField()))
        case "q":
            return _with_words(text, access)
    known = ", ".join([*BY_NAME, CHANGES_FROM.name, CHANGES_TO.name])
    raise ValueError(f"No such filter. There are: {known}.")


def _terms(text: str, *, ends_with_dot: bool = False) -> Terms:
    wanted: list[str] = []
    unwanted: list[str] = []
    for term in (part.strip() for part in text.split(",")):
        is_negated = term.startswith("!")
        term = term.removeprefix("!").strip()
        if not term.strip("*."):
            raise ValueError("A value is empty. Write them as `this,that`, and `!this` to leave one out.")
        if ends_with_dot and term.endswith("."):
            term += "*"
        if "*" in term[:-1]:
            raise ValueError("`*` stands at the end of a value only.")
        (unwanted if is_negated else wanted).append(term)
    return Terms(tuple(wanted), tuple(unwanted))


def _matching(column: str, terms: Terms) -> Q:
    found = _any_of(column, terms.wanted) if terms.wanted else Q()
    if terms.unwanted:
        # An event may have no such value at all, which is then not the unwanted one.
        found &= ~_any_of(column, terms.unwanted) | Q(**{f"{column}__isnull": True})
    return found


def _any_of(column: str, terms: Iterable[str]) -> Q:
    exact = [term for term in terms if not term.endswith("*")]
    found = Q(**{column: exact[0]}) if len(exact) == 1 else Q(**{f"{column}__in": exact}) if exact else Q()
    for term in terms:
        if term.endswith("*"):
            found |= Q(**{f"{column}__startswith": term[:-1]})
    return found


def _outcome(terms: Terms) -> Q:
    if strangers := [term for term in (*terms.wanted, *terms.unwanted) if term not in _OUTCOMES]:
        raise ValueError(f"“{strangers[0]}” is no outcome. There are: {', '.join(_OUTCOMES)}.")
    wanted = [one for one in terms.wanted or _OUTCOMES if one not in terms.unwanted]
    if "success" in wanted:
        return Q(outcome__in=wanted)
    return Q(outcome__in=wanted) & ~Q(outcome="success")  # as the index has it


def _changed_value(field: str, side: str, value: str) -> RawSQL:
    """Compare as text. On creation all is after, on deletion before; a many-to-many field has what came and went."""
    place, members, whole_row = (0, "removed", "deleted") if side == "from" else (1, "added", "created")
    # What `audit.record` tells has no before.
    others = "true" if side == "to" else "false"
    sql = f"""CASE
        WHEN action LIKE '%%.updated' THEN CASE pg_catalog.jsonb_typeof(changes -> %(field)s)
            WHEN 'array' THEN coalesce(changes -> %(field)s ->> {place}, 'null') = %(value)s
            WHEN 'object' THEN %(value)s IN (
                SELECT pg_catalog.jsonb_array_elements_text(coalesce(changes -> %(field)s -> '{members}', '[]'))) END
        WHEN action LIKE '%%.{whole_row}'
            OR (action NOT LIKE '%%.created' AND action NOT LIKE '%%.deleted' AND {others})
            THEN changes -> %(field)s IS NOT NULL AND coalesce(changes ->> %(field)s, 'null') = %(value)s
        ELSE false END"""
    names = re.findall(r"%\((field|value)\)s", sql)
    values = {"field": field, "value": value}
    return RawSQL(re.sub(r"%\(\w+\)s", "%s", sql), [values[name] for name in names], BooleanField())  # noqa: S611


def _with_words(text: str, access: Access) -> Q:
    words = text.split()
    if len(words) > _MOST_WORDS:
        raise ValueError(f"At most {_MOST_WORDS} words.")
    columns = ["action", "object_type", "object_id", "actor_label", "operation", "context ->> 'reason'"]
    if access.sees_personal:
        columns.append("changes::text")
    everything = f"pg_catalog.concat_ws(' ', {', '.join(columns)})"
    found = Q()
    for word in words:
        escaped = re.sub(r"([%_\\])", r"\\\1", word)
        found &= Q(RawSQL(f"{everything} ILIKE %s", [f"%{escaped}%"], BooleanField()))  # noqa: S611
    return found


def _refuse_personal(field: str, given: Mapping[str, str], access: Access) -> None:
    """A search for a value tells it: refuse where the field is personal in any type that is searched."""
    if access.sees_personal:
        return
    types = given.get("object_type", "").lower().split(",")
    for object_type, fields in personal_fields().items():
        if field in fields and (
            types == [""] or object_type in types or any("*" in one or "!" in one for one in types)
        ):
            raise ValueError(
                f"{field} is personal in {object_type}: searching it needs the permission audit.view_personal."
                " Or name another object_type."
            )
