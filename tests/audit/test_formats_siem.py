"""What the forms for security tools say, OCSF and ECS, as these would check it."""

from decimal import Decimal
from typing import Any

import pytest

from audit.reading.access import EVERYTHING, Access
from tests.audit.happened import PLAIN, REQUEST, SPAN, TRACE, event, everything, parsed

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
