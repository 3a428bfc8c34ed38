"""What the forms say in which events are taken away, as those who read them would check it."""

import csv
import io
import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from audit import values
from audit.errors import FilterError
from audit.exports.formats.known import FORMATS, format_named
from audit.models import Event
from audit.reading import showing
from audit.reading.access import EVERYTHING, Access

PLAIN = Access(object_types=None)
AT = datetime(2026, 3, 1, 14, 30, 0, 123_456, tzinfo=UTC)
TRACE, SPAN, REQUEST = "30e0d5bf376d27c47afce5d1f8ca0097", "00f067aa0ba902b7", "01a20a147022726bbca69b411c9f6b6f"
EVIL = "a\r\nb\u2028c\u0085d\x1b[31m\u202egnp\x7f\u2066\ufeff"


def event(action: str = "blog.post.updated", **members: Any) -> Event:
    """An event as the database gives it: nothing where there's nothing."""
    usual = {
        "id": 4_200_000_000,
        "recorded_at": AT,
        "txid": 943,
        "outcome": "success",
        "object_type": "blog.post",
        "object_id": "42",
        "changes": {"status": ["draft", "published"]},
        "actor_type": "user",
        "actor_id": "7",
        "actor_label": "una",
        "request_id": REQUEST,
        "trace_id": TRACE,
        "span_id": SPAN,
        "task_id": None,
        "origin": "http",
        "operation": "POST /blog/",
        "context": {"address": "192.0.2.7", "agent": "curl/8", "reason": "a typo", "release": "1.2"},
    }
    return Event(action=action, **{**usual, **members})


# Every action that the platform emits, and what else a ledger may hold: (action, object type, id, outcome, changes).
HAPPENED: list[tuple[str, str | None, str | None, str, Any]] = [
    *(
        (f"{label}.{verb}", label, "42", "success", changes)
        for label in ("blog.post", "chat.room", "tasks.taskrun", "accounts.apitoken", "auth.group", "accounts.user")
        for verb, changes in (
            ("created", {"name": "x", "number": 1}),
            ("updated", {"name": ["x", None]}),
            ("deleted", {"name": "x"}),
        )
    ),
    ("accounts.user.updated", "accounts.user", "7", "success", {"groups": {"added": ["3"]}}),
    ("accounts.user.updated", "accounts.user", "7", "success", {"user_permissions": {"removed": ["3", "4"]}}),
    ("accounts.user.updated", "accounts.user", "7", "success", {"is_active": [True, False]}),
    ("accounts.user.updated", "accounts.user", "7", "success", {"password": [{"masked": "a"}, {"masked": "b"}]}),
    ("auth.group.updated", "auth.group", "3", "success", {"permissions": {"added": ["9"]}}),
    ("blog.post.deleted", "blog.post", None, "success", {}),
    ("accounts.user.logged_in", "accounts.user", "7", "success", {"factor": "password"}),
    ("accounts.user.logged_out", "accounts.user", "7", "success", None),
    ("accounts.user.login_failed", None, None, "denied", {"username_digest": "ab12"}),
    ("accounts.login.throttled", None, None, "denied", None),
    ("accounts.token.refused", "accounts.apitoken", "1", "denied", {"why": "revoked"}),
    ("accounts.scope.denied", "accounts.apitoken", "1", "denied", {"scope": "blog:write"}),
    ("blog.access.denied", "blog.post", "42", "denied", None),
    ("sockets.origin.refused", None, None, "denied", {"origin": "https://evil.example"}),
    ("tasks.taskrun.viewed", "tasks.taskrun", "1", "denied", None),
    ("notifications.notification.read", "notifications.notification", "1", "denied", None),
    ("maintenance.mode.failed", None, None, "error", None),
    *((f"audit.ledger.{verb}", None, None, "success", {"filters": {}}) for verb in ("read", "exported", "throttled")),
    ("audit.ledger.read", "audit.event", "12", "success", None),
    ("audit.ledger.export_requested", "audit.export", "1", "success", {"format": "csv"}),
    ("audit.ledger.export_denied", None, None, "denied", None),
]
BARE: dict[str, Any] = dict.fromkeys(
    ("actor_type", "actor_id", "actor_label", "request_id", "trace_id", "span_id", "origin", "operation", "context")
)


def everything() -> list[Event]:
    told = [
        event(action, object_type=type_, object_id=key, outcome=outcome, changes=changes)
        for action, type_, key, outcome, changes in HAPPENED
    ]
    bare = [
        event(action, object_type=type_, object_id=key, outcome=outcome, changes=changes, **BARE)
        for action, type_, key, outcome, changes in HAPPENED
    ]
    return told + bare


def parsed(name: str, one: Event, access: Access = EVERYTHING) -> dict[str, Any]:
    line = format_named(name).line(one, access)
    assert line.endswith(b"\n")
    result: dict[str, Any] = json.loads(line)
    return result


def row(one: Event, access: Access = EVERYTHING) -> dict[str, str]:
    form = format_named("csv")
    (found,) = csv.DictReader(io.StringIO((form.header() + form.line(one, access)).decode(), newline=""))
    return found


def test_an_unknown_format_is_named_with_the_known_ones() -> None:
    with pytest.raises(FilterError, match=r"“xml” is no format\. There are: ndjson, csv, ocsf, cloudevents, ecs"):
        format_named("xml")


# --- NDJSON --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("access", [EVERYTHING, PLAIN])
def test_ndjson_is_the_apis_event(access: Access) -> None:
    for one in everything():
        assert parsed("ndjson", one, access) == json.loads(values.dumps(showing.as_dict(one, access)))


def test_ndjson_keeps_all_digits() -> None:
    amount = Decimal("12345678901234567890.123456789012345678901234567890")
    line = format_named("ndjson").line(event(changes={"amount": [10**40, amount]}), EVERYTHING)

    assert json.loads(line, parse_float=Decimal)["changes"]["amount"] == [10**40, amount]


# --- injection -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [name for name in FORMATS if name != "csv"])
def test_what_a_text_holds_never_leaves_its_line(name: str) -> None:
    one = event(
        f"a.{EVIL}",
        object_id=EVIL,
        actor_label=EVIL,
        request_id=EVIL,
        changes={EVIL: [EVIL, "x"]},
        context={"agent": EVIL, "reason": EVIL, "address": EVIL},
    )
    line = format_named(name).line(one, EVERYTHING)

    assert line.isascii()
    assert line.decode().splitlines() == [line.decode().removesuffix("\n")]
    assert not set(line[:-1]) & set(range(32))
    assert any(EVIL in text for text in strings(json.loads(line)))


def strings(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [text for pair in value.items() for item in pair for text in strings(item)]
    if isinstance(value, list):
        return [text for item in value for text in strings(item)]
    return [value] if isinstance(value, str) else []


def test_ndjson_gives_back_every_character() -> None:
    assert parsed("ndjson", event(object_id=EVIL, actor_label="Zoë 👩‍👩‍👧 \\u202e"))["object_id"] == EVIL
    assert parsed("ndjson", event(actor_label="Zoë 👩‍👩‍👧 \\u202e"))["actor_label"] == "Zoë 👩‍👩‍👧 \\u202e"


# --- CSV -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "=1+1",
        "+1",
        "-2+3",
        "@SUM(A1)",
        "\t=1",
        "\rx",
        "\nx",
        "  =cmd|' /C calc'!A0",
        '"=1',
        "' =1",
        "\uff1d1",
        " \uff0d1",
        "\uff0b1",
        "\uff20x",
    ],
)
def test_a_cell_that_begins_like_a_formula_gets_an_apostrophe(text: str) -> None:
    assert row(event(object_id=text, actor_label="x"))["object_id"] == f"'{text}"
    for field in ("actor_label", "action", "operation", "task_id", "request_id", "origin", "object_type"):
        assert row(event(**{"action": "a.b", field: text}))[field] == f"'{text}"


@pytest.mark.parametrize("text", ["", "a=1", "2026-03-01", "x\ny", 'say "hi", twice', "Zoë", "1;=2"])
def test_any_other_cell_is_as_it_was(text: str) -> None:
    assert row(event(object_id=text))["object_id"] == text


def test_a_row_has_each_member_of_the_event_once_with_json_where_there_is_more() -> None:
    one = event(changes={"note": ["=1", "a\nb\x1b"]})
    found = row(one)

    assert list(found) == list(showing.as_dict(one, EVERYTHING))
    assert json.loads(found["changes"]) == {"note": ["=1", "a\nb\x1b"]}
    assert json.loads(found["context"])["reason"] == "a typo"
    assert (found["id"], found["recorded_at"]) == ("4200000000", "2026-03-01T14:30:00.123456+00:00")
    assert len(format_named("csv").line(one, EVERYTHING).splitlines()) == 1


def test_what_moves_a_cursor_is_shown_in_cells_and_not_done() -> None:
    assert row(event(object_id="x\x1b[2J\u202ey"))["object_id"] == "x\\u001b[2J\\u202ey"


def test_every_action_gives_a_row() -> None:
    for one in everything():
        assert row(one)["action"] == one.action


# --- CloudEvents ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("access", [EVERYTHING, PLAIN])
def test_cloudevents_have_what_the_specification_asks(access: Access) -> None:
    for one in everything():
        found = parsed("cloudevents", one, access)
        assert found["specversion"] == "1.0"
        assert found.keys() >= {"id", "source", "type", "time", "data"}
        assert all(isinstance(value, str) and value for name, value in found.items() if name != "data")
        assert all(name.isascii() and name.islower() and name.isalnum() for name in found)
        assert (found["id"], found["type"]) == (str(one.pk), one.action)
        assert datetime.fromisoformat(found["time"]) == AT
        assert found["data"] == json.loads(values.dumps(showing.as_dict(one, access)))
        assert ("subject" in found) == bool(one.object_type)


def test_cloudevents_carry_the_trace_where_there_is_one() -> None:
    assert parsed("cloudevents", event())["traceparent"] == f"00-{TRACE}-{SPAN}-00"
    for trace_id, span_id in ((None, SPAN), (TRACE, None), ("0" * 32, SPAN), (TRACE, "x" * 16), (TRACE.upper(), SPAN)):
        assert "traceparent" not in parsed("cloudevents", event(trace_id=trace_id, span_id=span_id))


def test_attributes_of_cloudevents_have_no_control_characters() -> None:
    found = parsed("cloudevents", event(object_id="a\nb\x9f"))
    assert found["subject"] == "blog.post/a\\u000ab\\u009f"


# --- OCSF 1.8.0 ----------------------------------------------------------------------------------------------------

# From the schema's own files: of each class the activities, what it requires beside the base event's, and of which
# groups it requires one at least.
CLASSES: dict[int, tuple[set[int], set[str], set[str]]] = {
    3001: ({*range(1, 13)}, {"user"}, set()),
    3002: ({*range(1, 8)}, {"user"}, {"service", "dst_endpoint"}),
    3004: ({*range(1, 14)}, {"entity"}, set()),
    3005: ({1, 2}, {"privileges", "user"}, set()),
    3006: ({*range(1, 9)}, {"group"}, set()),
    6003: ({1, 2, 3, 4}, {"actor", "api", "src_endpoint"}, set()),
    6005: ({*range(1, 11)}, {"actor", "src_endpoint"}, {"database", "databucket", "table"}),
}
BASE = {"activity_id", "category_uid", "class_uid", "metadata", "severity_id", "time", "type_uid"}


@pytest.mark.parametrize("access", [EVERYTHING, PLAIN])
def test_ocsf_has_what_each_class_requires(access: Access) -> None:
    for one in everything():
        found = parsed("ocsf", one, access)
        activities, required, one_of = CLASSES[found["class_uid"]]
        assert found.keys() >= BASE | required, one.action
        assert not one_of or found.keys() & one_of
        assert found["activity_id"] in activities | {99}
        assert ("activity_name" in found) == (found["activity_id"] == 99)
        assert found["category_uid"] == found["class_uid"] // 1_000
        assert found["type_uid"] == found["class_uid"] * 100 + found["activity_id"]
        assert found["time"] == 1_772_375_400_123
        assert found["severity_id"] in range(1, 4)
        assert found["status_id"] == (1 if one.outcome == "success" else 2)
        assert found["metadata"]["version"] == "1.8.0"
        assert found["metadata"]["product"]["name"] == "glasshouse"
        assert found["metadata"]["uid"] == str(one.pk)
        for name in ("user", "group", "entity", "service", "table"):
            assert name not in found or found[name].get("name") or found[name].get("uid")
        assert found["actor"]["user"].get("name")
        assert found["src_endpoint"].get("ip") or found["src_endpoint"].get("name")


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        ("accounts.user.logged_in", 300_201),
        ("accounts.user.logged_out", 300_202),
        ("accounts.user.login_failed", 300_201),
        ("accounts.user.created", 300_101),
        ("accounts.user.deleted", 300_106),
        ("blog.post.created", 300_401),
        ("blog.post.viewed", 300_402),
        ("blog.post.updated", 300_403),
        ("blog.post.deleted", 300_404),
        ("blog.access.denied", 300_499),
        ("auth.group.created", 300_606),
    ],
)
def test_ocsf_tells_what_was_done(number: str, expected: int) -> None:
    type_ = {"accounts.user": "accounts.user", "auth.group": "auth.group"}.get(number.rpartition(".")[0], "blog.post")
    assert parsed("ocsf", event(number, object_type=type_, changes={}))["type_uid"] == expected


def test_ocsf_tells_of_rights_that_come_and_go() -> None:
    def told(changes: Any, of: str = "accounts.user") -> dict[str, Any]:
        return parsed("ocsf", event(f"{of}.updated", object_type=of, object_id="7", changes=changes))

    given = told({"groups": {"added": ["3"]}})
    assert (given["type_uid"], given["privileges"], given["user"]) == (300_501, ["groups:3"], {"uid": "7"})
    taken = told({"user_permissions": {"removed": ["3", "4"]}})
    assert (taken["type_uid"], taken["privileges"]) == (300_502, ["user_permissions:3", "user_permissions:4"])
    assert told({"is_active": [True, False]})["type_uid"] == 300_105
    assert told({"is_active": [False, True]})["type_uid"] == 300_102
    assert told({"password": [{"masked": "a"}, {"masked": "b"}]})["type_uid"] == 300_103
    assert told({"permissions": {"removed": ["1"]}}, "auth.group")["type_uid"] == 300_602


def test_ocsf_keeps_the_changes_and_the_rest_of_the_event() -> None:
    found = parsed("ocsf", event(changes={"price": [Decimal("1.10"), None]}))
    assert found["unmapped"]["changes"] == {"price": [1.10, None]}
    assert found["unmapped"]["trace_id"] == TRACE
    assert found["entity"] == {"uid": "42", "type": "blog.post", "type_id": 99}
    assert found["actor"]["user"] == {"uid": "7", "name": "una", "type_id": 1}
    assert found["src_endpoint"] == {"ip": "192.0.2.7"}
    assert found["http_request"] == {"uid": REQUEST, "user_agent": "curl/8"}
    assert found["comment"] == "a typo"


# --- ECS 9.4.0 -----------------------------------------------------------------------------------------------------

# From the schema's own files: the types that each category expects.
EXPECTED_TYPES = {
    "api": {
        *("access", "admin", "allowed", "change", "creation", "deletion", "denied", "end", "info", "start", "user")
    },
    "authentication": {"start", "end", "info"},
    "database": {"access", "change", "info", "error"},
    "iam": {"admin", "change", "creation", "deletion", "group", "info", "user"},
}
FIELDS = {
    *("@timestamp", "message", "ecs.version", "event.id", "event.kind", "event.category", "event.type", "event.action"),
    *("event.outcome", "event.created", "event.reason", "event.module", "event.dataset", "user.id", "user.name"),
    *("user.target.id", "group.id", "source.ip", "source.address", "user_agent.original", "trace.id", "span.id"),
    *("http.request.id", "service.name", "service.version"),
}


def flat(members: dict[str, Any], path: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in members.items():
        found |= flat(value, f"{path}{name}.") if isinstance(value, dict) else {f"{path}{name}": value}
    return found


@pytest.mark.parametrize("access", [EVERYTHING, PLAIN])
def test_ecs_has_known_fields_and_allowed_values(access: Access) -> None:
    for one in everything():
        found = flat(parsed("ecs", one, access))
        assert {name for name in found if not name.startswith("Audit.")} <= FIELDS
        assert (found["@timestamp"], found["ecs.version"]) == ("2026-03-01T14:30:00.123456+00:00", "9.4.0")
        (category,) = found["event.category"]
        assert set(found["event.type"]) <= EXPECTED_TYPES[category]
        assert found["event.kind"] == "event"
        assert found["event.outcome"] == ("success" if one.outcome == "success" else "failure")
        assert (found["event.id"], found["event.action"]) == (str(one.pk), one.action)
        for name, value in found.items():
            assert isinstance(value, str) or name in ("event.category", "event.type", "Audit.Changes"), name
        assert all(isinstance(text, str) for change in found.get("Audit.Changes", []) for text in change.values())


def test_ecs_tells_who_what_and_from_where() -> None:
    found = flat(parsed("ecs", event(changes={"price": [Decimal("1.10"), None]})))
    assert (found["user.id"], found["user.name"], found["source.ip"]) == ("7", "una", "192.0.2.7")
    assert (found["trace.id"], found["span.id"], found["http.request.id"]) == (TRACE, SPAN, REQUEST)
    assert (found["user_agent.original"], found["event.reason"]) == ("curl/8", "a typo")
    assert (found["service.name"], found["service.version"]) == ("glasshouse", "1.2")
    assert found["Audit.Changes"] == [{"Field": "price", "From": "1.10", "To": "null"}]
    assert "source.ip" not in flat(parsed("ecs", event(context={"address": "unix socket"})))


# --- hidden values -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", list(FORMATS))
def test_no_form_shows_what_its_reader_may_not_see(name: str) -> None:
    one = event(
        "accounts.user.updated",
        object_type="accounts.user",
        changes={
            "email": ["old@example.org", "new@example.org"],
            "password": [{"masked": "digest-1"}, {"masked": "digest-2"}],
        },
        context={"address": "192.0.2.7", "agent": "curl/8", "session": "cafe", "reason": "asked"},
    )
    secrets = ("example.org", "192.0.2.7", "curl/8", "cafe", "digest-1", "digest-2")

    hidden, shown = (format_named(name).line(one, access).decode() for access in (PLAIN, EVERYTHING))

    assert not [secret for secret in secrets if secret in hidden]
    assert [secret for secret in secrets if secret not in shown] == []
    assert "asked" in hidden
