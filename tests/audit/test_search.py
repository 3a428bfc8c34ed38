"""What the search of the ledger finds, and what it refuses."""

import base64
from typing import Any

import psycopg
import pytest
from django.db import connection
from django.test import Client

import audit
from accounts.models import User
from audit.errors import CursorError, FilterError
from audit.models import Event
from audit.reading import filters, queries
from audit.reading.access import EVERYTHING, Access, access_of
from audit.reading.cursors import Cursor, parse
from telemetry.context import Actor, Context, new_request_id, use
from tests.audit.everything.models import Tag, Thing
from tests.audit.readers import user_with

URL = "/api/audit/events/"


def found(access: Access = EVERYTHING, **asked: str) -> list[Event]:
    asked = {name.replace("__", "."): text for name, text in asked.items()}
    return queries.page(filters.parse(asked, access), Cursor("oldest"), limit=500).events


def actions(**asked: str) -> list[str]:
    return [event.action for event in found(**asked)]


@pytest.fixture
def request_id() -> str:
    """Give the id of the request that everything in these tests happens in."""
    return new_request_id()


@pytest.fixture
def happened(db: None, request_id: str) -> dict[str, Any]:
    """Let something of each kind happen."""
    context = Context(
        request_id=request_id,
        trace_id="a" * 32,
        task_id="task-1",
        origin="task",
        operation="things.tidy",
        actor_source=Actor("user", "977", "Alice"),
        client_address="192.0.2.7",
    )
    with use(context):
        thing = Thing.objects.create(name="old", number=1)
        thing.name = "new"
        thing.save()
        tag = Tag.objects.create(name="red")
        tag.things.add(thing)
        audit.record("everything.thing.viewed", target=thing, changes={"page": "2"})
        audit.record("everything.thing.refused", target=thing, outcome="denied", reason="100% no_way")
        pk = thing.pk
        thing.delete()
    return {"pk": str(pk), "tag": str(tag.pk)}


CREATED, UPDATED, DELETED, VIEWED, REFUSED = (
    f"everything.thing.{verb}" for verb in ("created", "updated", "deleted", "viewed", "refused")
)
TAG, LINKED = "everything.tag.created", "everything.tag.updated"


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({"action": CREATED}, [CREATED]),
        ({"action": f"{CREATED},{DELETED}"}, [CREATED, DELETED]),
        ({"action": "everything.tag."}, [TAG, LINKED, LINKED]),
        ({"action": "everything.t*,!everything.thing."}, [TAG, LINKED, LINKED]),
        ({"object_type": "everything.Thing", "action": f"!{UPDATED}"}, [CREATED, VIEWED, REFUSED, DELETED]),
        ({"object_type": "!everything.thing"}, [TAG, LINKED, LINKED]),
        ({"outcome": "denied"}, [REFUSED]),
        ({"outcome": "!success"}, [REFUSED]),
        ({"outcome": "success", "action": VIEWED}, [VIEWED]),
        ({"changed": "page"}, [VIEWED]),
        ({"changed": "things"}, [LINKED, LINKED]),
        ({"changes__name__to": "new"}, [UPDATED]),
        ({"changes__name__from": "old"}, [UPDATED]),
        ({"changes__name__to": "old"}, [CREATED]),
        ({"changes__name__from": "new"}, [DELETED]),
        ({"changes__number__to": "1"}, [CREATED]),
        ({"changes__page__to": "2"}, [VIEWED]),
        ({"changes__page__from": "2"}, []),
        ({"q": "100% no_way"}, [REFUSED]),
        ({"q": "100_"}, []),
        ({"q": "alice TIDY red"}, [TAG]),
        ({"since": "2200-01-01"}, []),
        ({"until": "2000-01-01"}, []),
        ({"actor": "!977"}, []),
    ],
)
def test_filters_find_what_they_say(
    happened: dict[str, Any], request_id: str, asked: dict[str, str], expected: list[str]
) -> None:
    assert actions(request=request_id, **asked) == expected


def test_filters_of_ids_find_all_of_it(happened: dict[str, Any], request_id: str) -> None:
    everything = actions(request=request_id)
    assert len(everything) == 8
    transaction = found(request=request_id)[0].txid
    searches: tuple[dict[str, str], ...] = (
        {"actor": "977"},
        {"trace": "A" * 32},
        {"task": "task-1"},
        {"origin": "task"},
        {"origin": "!http"},
        {"address": "192.0.2.7"},
    )
    for asked in searches:
        assert actions(request=request_id, **asked) == everything
    # The denial was written apart.
    assert actions(request=request_id, transaction=str(transaction)) == [one for one in everything if one != REFUSED]


def test_an_objects_events_and_a_tag_that_was_added_are_found(happened: dict[str, Any], request_id: str) -> None:
    asked = {"object_type": "everything.thing", "object_id": happened["pk"]}

    assert actions(request=request_id, **asked) == [CREATED, UPDATED, VIEWED, REFUSED, DELETED]
    assert len(found(request=request_id, changes__things__to=happened["pk"])) == 1
    assert len(found(request=request_id, changes__things__from=happened["pk"])) == 1
    assert found(request=request_id, changes__things__from="0") == []


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("colour", "red"),
        ("since", "yesterday"),
        ("since", "2026-13-01"),
        ("outcome", "perhaps"),
        ("action", "a*b"),
        ("action", ","),
        ("object_id", "7"),
        ("transaction", "x"),
        ("changes.name", "x"),
        ("q", "a " * 11),
        ("actor", "x" * 3_000),
        ("q", "a\x00b"),
    ],
)
def test_a_wrong_filter_is_named(name: str, text: str) -> None:
    with pytest.raises(FilterError) as refused:
        filters.parse({name: text}, EVERYTHING)

    assert list(refused.value.problems) == [name]


def test_times_that_end_before_they_begin_are_refused() -> None:
    with pytest.raises(FilterError, match="until"):
        filters.parse({"since": "2026-03-02", "until": "2026-03-01"}, EVERYTHING)


SNAPSHOTS = [f'["42","{snapshot}","newest","",null,null]' for snapshot in ("9:5:", "5:9:3", "5:9:9", "5:9:8,6")]


@pytest.mark.parametrize("text", [base64.urlsafe_b64encode(one.encode()).decode() for one in SNAPSHOTS])
def test_a_cursor_with_a_snapshot_that_no_database_gives_is_refused(text: str) -> None:
    with pytest.raises(CursorError):
        parse(text)


@pytest.mark.parametrize("text", ["", "x", "e30", "W10", "A" * 70_000, str(Cursor())[:-4]])
def test_a_forged_cursor_is_refused(text: str) -> None:
    with pytest.raises(CursorError):
        parse(text)


@pytest.mark.django_db
def test_a_cursor_of_another_database_is_refused() -> None:
    with pytest.raises(CursorError):
        queries.page(filters.EVERYTHING, Cursor(database="42"), limit=1)


@pytest.mark.django_db(transaction=True)
def test_a_reading_shows_what_was_committed_when_it_began_and_resume_what_came_late(
    owner_connection: psycopg.Connection,
) -> None:
    """An event whose id is lower than those already read, and whose transaction commits in between, isn't lost."""
    search = filters.parse({"object_type": "everything.tag", "action": "everything.tag.created"}, EVERYTHING)
    before = queries.page(search, Cursor("oldest"), limit=500).resume
    Tag.objects.bulk_create([Tag(name=f"before {number}") for number in range(3)])
    late = psycopg.connect(**connection.get_connection_params() | {"cursor_factory": None, "context": None})
    late.execute("INSERT INTO everything_tag (name) VALUES ('late')")
    Tag.objects.bulk_create([Tag(name=f"after {number}") for number in range(3)])

    def names(page: queries.Page) -> list[str]:
        return [event.changes["name"] for event in page.events]

    first = queries.page(search, before, limit=4)
    late.commit()
    late.close()
    assert first.next is not None
    second = queries.page(search, parse(str(first.next)), limit=4)
    since = queries.page(search, parse(str(second.resume)), limit=4)

    assert names(first) + names(second) == [
        *(f"before {number}" for number in range(3)),
        *(f"after {number}" for number in range(3)),
    ]
    assert second.next is None
    assert names(since) == ["late"]
    assert names(queries.page(search, since.resume, limit=4)) == []


@pytest.mark.django_db
def test_counts_are_exact_up_to_a_thousand_and_marked_as_estimates_beyond() -> None:
    Tag.objects.bulk_create([Tag(name=f"tag {number}") for number in range(1_000)])
    search = filters.parse({"action": "everything.tag.created"}, EVERYTHING)
    assert queries.total(search) == queries.Total(1_000, is_exact=True)

    Tag.objects.create(name="one more")
    total = queries.total(search)
    assert (total.count > 1_000, total.is_exact) == (True, False)


@pytest.mark.django_db
def test_a_search_that_takes_too_long_is_given_up(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from audit.errors import SearchTooLongError

    with pytest.raises(SearchTooLongError), queries.within_time("default"), connection.cursor() as cursor:
        cursor.execute("SET LOCAL statement_timeout = '20ms'")
        cursor.execute("SELECT count(*) FROM generate_series(1, 1000000000)")
    with queries.within_time("default"):
        pass
    with connection.cursor() as cursor:
        cursor.execute("SHOW statement_timeout")
        assert cursor.fetchone() == ("0",)


def test_facets_count_by_day_actor_action_type_and_outcome(happened: dict[str, Any], request_id: str) -> None:
    search = filters.parse({"request": request_id}, EVERYTHING)

    def counts(by: Any) -> dict[str, int]:
        return {one.label: one.count for one in queries.facet(search, by)}

    assert counts("actor") == {"Alice": 8}
    assert counts("outcome") == {"success": 7, "denied": 1}
    assert counts("action")[LINKED] == 2
    assert counts("object_type") == {"everything.thing": 5, "everything.tag": 3}
    assert list(counts("day").values()) == [8]


# --- who may see what ----------------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_a_permission_for_one_type_shows_that_type_alone(client: Client) -> None:
    one = user_with("view_events_of_everything_tag")
    Tag.objects.create(name="seen")
    Thing.objects.create(name="unseen")
    client.force_login(one)

    answer = client.get(URL).json()

    assert {event["object_type"] for event in answer["results"]} == {"everything.tag"}
    unseen = Event.objects.filter(object_type="everything.thing").latest("id")
    assert client.get(f"{URL}{unseen.pk}/").status_code == 404


@pytest.mark.django_db
def test_a_tokens_scope_for_one_type_narrows_what_its_user_may_see() -> None:
    everything = user_with("view_event")
    assert access_of(everything, ["audit:read:everything.tag"]).object_types == {"everything.tag"}
    assert access_of(everything, ["audit:read"]).object_types is None
    assert not access_of(everything, ["blog:read"]).is_any
    one = user_with("view_events_of_everything_tag", name="one")
    assert access_of(one, ["audit:read"]).object_types == {"everything.tag"}
    assert not access_of(one, ["audit:read:everything.thing"]).is_any
    one.is_active = False
    assert not access_of(one).is_any


@pytest.mark.django_db
def test_personal_and_masked_values_are_hidden_unless_granted(client: Client) -> None:
    person = User.objects.create_user("bob", email="bob@example.org", password="right-horse-9")
    asked = {"object_type": "accounts.user", "object_id": str(person.pk), "action": "accounts.user.created"}
    plain, granted = user_with("view_event"), user_with("view_event", "view_personal", "view_masked", name="officer")

    def changes(user: User) -> dict[str, Any]:
        client.force_login(user)
        result: dict[str, Any] = client.get(URL, asked).json()["results"][0]["changes"]
        return result

    assert changes(plain)["email"] == [None, {"hidden": "personal"}]
    assert changes(plain)["password"] == [None, {"hidden": "masked"}]
    assert changes(plain)["username"] == [None, "bob"]
    assert changes(granted)["email"] == [None, "bob@example.org"]
    assert changes(granted)["password"][1].keys() == {"masked"}


@pytest.mark.django_db
@pytest.mark.parametrize(
    "asked", [{"changes.email.to": "bob@example.org"}, {"address": "192.0.2.7"}, {"changes.first_name.from": "Bob"}]
)
def test_what_is_hidden_cant_be_searched_for_either(client: Client, asked: dict[str, str]) -> None:
    client.force_login(user_with("view_event"))

    answer = client.get(URL, asked)

    assert answer.status_code == 400
    assert list(answer.json()["errors"]) == list(asked)
    User.objects.create(username="bob", email="canary@example.org")
    assert client.get(URL, {"q": "canary@example.org"}).json()["results"] == []


@pytest.mark.django_db
def test_asking_too_often_is_refused_and_the_refusal_recorded_once(client: Client, settings: Any) -> None:
    settings.AUDIT_API_RATE = "2/minute"
    client.force_login(user_with("view_event"))

    codes = [client.get(URL).status_code for _ in range(4)]

    assert codes == [200, 200, 429, 429]
    assert Event.objects.filter(action="audit.ledger.throttled", changes__rate="2/minute").count() == 1


# --- the API -------------------------------------------------------------------------------------------------------


def test_one_event_comes_with_what_is_around_it(client: Client, happened: dict[str, Any], request_id: str) -> None:
    client.force_login(user_with("view_event"))
    updated = found(request=request_id, action=UPDATED)[0]

    answer = client.get(f"{URL}{updated.pk}/").json()

    assert answer["changes"]["name"] == ["old", "new"]
    assert {event["action"] for event in answer["around"]["request"]["events"]} >= {CREATED, DELETED, REFUSED}
    assert updated.pk not in [event["id"] for event in answer["around"]["request"]["events"]]
    assert answer["around"]["task"]["url"].endswith("task=task-1&order=oldest")
    assert REFUSED not in {event["action"] for event in answer["around"]["transaction"]["events"]}
    assert answer["links"]["request_page"].endswith(f"/ops/requests/{request_id}/")
    assert answer["links"]["object"].endswith(f"/api/audit/objects/everything.thing/{happened['pk']}/")
    assert client.get(answer["around"]["request"]["url"]).status_code == 200


def test_the_list_tells_count_next_and_resume(client: Client, happened: dict[str, Any], request_id: str) -> None:
    client.force_login(user_with("view_event"))

    answer = client.get(URL, {"request": request_id, "limit": "5", "order": "oldest"}).json()
    rest = client.get(answer["next"]).json()

    assert (answer["count"], answer["count_is_exact"]) == (8, True)
    assert [event["action"] for event in answer["results"] + rest["results"]] == actions(request=request_id)
    assert rest["next"] is None
    assert client.get(rest["resume"]).json()["results"] == []


def test_facets_link_to_the_search_they_narrow(client: Client, happened: dict[str, Any], request_id: str) -> None:
    client.force_login(user_with("view_event"))

    facets = client.get(f"{URL}facets/", {"request": request_id, "by": "action"}).json()

    assert {one["value"]: one["count"] for one in facets}[LINKED] == 2
    for one in facets:
        assert client.get(one["url"]).json()["count"] == one["count"]
    assert client.get(f"{URL}facets/", {"by": "colour"}).json()["errors"].keys() == {"by"}


@pytest.mark.parametrize("query", ["limit=0", "order=up", "cursor=x", "action=a&action=b"])
@pytest.mark.django_db
def test_wrong_paging_is_refused_by_name(client: Client, query: str) -> None:
    client.force_login(user_with("view_event"))

    answer = client.get(f"{URL}?{query}")

    assert answer.status_code == 400
    assert list(answer.json()["errors"]) == [query.partition("=")[0]]


def test_the_schema_documents_each_filter_with_an_example() -> None:
    from drf_spectacular.generators import SchemaGenerator

    schema = SchemaGenerator().get_schema(request=None, public=True)
    described = {one["name"]: one for one in schema["paths"][URL]["get"]["parameters"]}

    for one in filters.FILTERS:
        assert described[one.name]["examples"]
        assert described[one.name]["description"].startswith(one.help)
    assert "changes.{field}.to" in described
