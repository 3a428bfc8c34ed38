"""What the forms say in which events are taken away, as those who read them would check it."""

import csv
import io
import json
from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest

from audit import values
from audit.errors import FilterError
from audit.exports.formats.known import FORMATS, format_named
from audit.models import Event
from audit.reading import showing
from audit.reading.access import EVERYTHING, Access
from tests.audit.happened import AT, PLAIN, SPAN, TRACE, event, everything, parsed

EVIL = "a\r\nb\u2028c\u0085d\x1b[31m\u202egnp\x7f\u2066\ufeff"


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
