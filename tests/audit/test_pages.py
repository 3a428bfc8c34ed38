"""The ledger's pages, as an auditor opens them."""

import gzip
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.test import Client

import audit
from accounts.models import User
from audit.exports import files
from audit.models import Event, Export, SavedSearch
from telemetry.context import Actor, Context, new_request_id, use
from tests.audit.everything.models import Tag, Thing

pytestmark = pytest.mark.django_db


def user_with(*permissions: str, name: str = "auditor") -> User:
    user = User.objects.create(username=name)
    user.user_permissions.add(*Permission.objects.filter(codename__in=permissions, content_type__app_label="audit"))
    return user


@pytest.fixture
def auditor(client: Client) -> User:
    user = user_with("view_event")
    client.force_login(user)
    return user


def text_of(answer: Any) -> str:
    return re.sub(r"\s+", " ", answer.content.decode())


def test_the_search_takes_its_filters_from_the_address(client: Client, auditor: User) -> None:
    request_id = new_request_id()
    with use(Context(request_id=request_id)):
        Thing.objects.create(name="wanted-thing")
        Tag.objects.create(name="other-tag")

    page = text_of(client.get("/audit/", {"action": "everything.thing.", "request": request_id, "order": "oldest"}))

    assert "wanted-thing" in page
    assert "other-tag" not in page
    assert 'value="everything.thing."' in page
    assert "1 event " in page


def test_a_wrong_filter_is_told_beside_its_field_and_an_unknown_one_above_all(client: Client, auditor: User) -> None:
    answer = client.get("/audit/", {"since": "yesterday", "colour": "red"})

    page = text_of(answer)
    assert answer.status_code == 400
    assert 'id="e-since"' in page
    assert "<strong>colour</strong>: No such filter." in page


def test_pages_follow_each_other_without_gap(client: Client, auditor: User) -> None:
    Tag.objects.bulk_create([Tag(name=f"paged-{number:03}") for number in range(120)])
    found: list[str] = []
    address = "/audit/?action=everything.tag.created"
    while address:
        page = client.get(address).content.decode()
        found += re.findall(r"paged-\d{3}", page)
        following = re.search(r'rel="next" href="(\?[^"]+)"', page)
        address = "/audit/" + following[1].replace("&amp;", "&") if following else ""

    assert found == [f"paged-{number:03}" for number in reversed(range(120))]


def test_a_fields_value_is_asked_for_by_three_fields_of_the_form(client: Client, auditor: User) -> None:
    answer = client.get("/audit/", {"field": "name", "from": "", "to": "red", "action": "everything."})

    assert answer["Location"] == "?action=everything.&changes.name.to=red"


def test_the_overview_draws_days_actions_and_actors_and_links_to_them(client: Client, auditor: User) -> None:
    with use(Context(request_id=new_request_id(), actor_source=Actor("user", "4711", "Una Unique"))):
        Tag.objects.create(name="drawn")

    page = text_of(client.get("/audit/overview/", {"actor": "4711"}))

    assert "1 events, " in page
    assert "Una Unique" in page
    assert "action=everything.tag.created" in page
    assert "<rect" in page


def test_one_event_shows_changes_circumstances_and_what_is_around_it(client: Client, auditor: User) -> None:
    with use(Context(request_id=new_request_id(), origin="http", client_address="192.0.2.7")), audit.reason("spring"):
        thing = Thing.objects.create(name="before-name")
        Thing.objects.filter(pk=thing.pk).update(name="after-name")
    event = Event.objects.filter(action="everything.thing.updated").latest("id")

    page = text_of(client.get(f"/audit/events/{event.pk}/"))

    assert '<del class="diff-old">before-name</del> <ins class="diff-new">after-name</ins>' in page
    assert "spring" in page
    assert "192.0.2.7" not in page  # personal, and not granted
    assert "For the same request" in page
    assert "everything.thing.created" in page
    assert client.get("/audit/events/999999999/").status_code == 404


def test_an_actors_day_has_its_hours_in_order(client: Client, auditor: User) -> None:
    with use(Context(request_id=new_request_id(), actor_source=Actor("user", "4712", "Dora"))):
        Tag.objects.create(name="that-day")
    today = datetime.now(UTC).date()

    page = text_of(client.get("/audit/actors/4712/"))
    before = text_of(client.get("/audit/actors/4712/", {"day": (today - timedelta(days=1)).isoformat()}))

    assert "Dora: a day" in page
    assert "that-day" in page
    assert "did nothing that the ledger knows of" in before
    assert client.get("/audit/actors/4712/", {"day": "x"}).status_code == 404
    assert client.get("/audit/actors/4712/", {"cursor": "x"}).status_code == 404


def test_a_search_is_saved_found_replaced_and_deleted(client: Client, auditor: User) -> None:
    client.post("/audit/searches/", {"name": " my  tags ", "query": "action=everything.tag."})
    client.post("/audit/searches/", {"name": "my tags", "query": "action=everything.thing."})
    (saved,) = SavedSearch.objects.all()

    assert (saved.name, saved.query, saved.owner) == ("my tags", "action=everything.thing.", auditor)
    assert 'class="saved"' in text_of(client.get("/audit/"))

    client.force_login(user_with("view_event", name="other"))
    assert 'class="saved"' not in text_of(client.get("/audit/"))
    client.post(f"/audit/searches/{saved.pk}/delete/")
    assert SavedSearch.objects.exists()
    client.force_login(auditor)
    client.post(f"/audit/searches/{saved.pk}/delete/")
    assert not SavedSearch.objects.exists()


def test_what_is_no_search_isnt_saved(client: Client, auditor: User) -> None:
    for name, query in (("", "action=a"), ("x" * 101, "action=a"), ("fine", "colour=red")):
        answer = client.post("/audit/searches/", {"name": name, "query": query}, follow=False)
        assert answer.status_code == 302
    assert not SavedSearch.objects.exists()


@pytest.mark.parametrize(
    "address", ["/audit/", "/audit/overview/", "/audit/events/1/", "/audit/actors/1/", "/audit/exports/"]
)
def test_each_page_is_for_readers_alone_and_a_refusal_is_recorded(client: Client, address: str) -> None:
    assert client.get(address).status_code == 302
    user = User.objects.create(username="reader")
    client.force_login(user)

    assert client.get(address).status_code == 403
    denied = Event.objects.filter(action="audit.ledger.read_denied", actor_id=str(user.pk))
    assert denied.count() == 1


@pytest.mark.parametrize("address", ["/audit/?action=x.", "/audit/overview/", "/audit/actors/1/"])
def test_opening_a_page_is_an_event(client: Client, auditor: User, address: str) -> None:
    before = Event.objects.filter(action="audit.ledger.read").count()
    client.get(address)

    assert Event.objects.filter(action="audit.ledger.read").count() == before + 1


def test_script_in_a_value_stays_text_on_every_page(client: Client, auditor: User) -> None:
    with use(Context(request_id=new_request_id(), actor_source=Actor("user", "4713", "<script>alert(1)</script>"))):
        Tag.objects.create(name="<img src=x onerror=alert(1)>")
    event = Event.objects.filter(action="everything.tag.created").latest("id")

    for address in ("/audit/", f"/audit/events/{event.pk}/", "/audit/actors/4713/", "/audit/overview/?actor=4713"):
        page = client.get(address).content.decode()
        assert "<script>alert" not in page
        assert "<img src=x" not in page


def test_the_request_page_hides_personal_values_from_developers(client: Client) -> None:
    developer = User.objects.create(username="dev")
    developer.user_permissions.add(Permission.objects.get(codename="view_request_page"))
    client.force_login(developer)
    request_id = new_request_id()
    with use(Context(request_id=request_id, origin="http")):
        User.objects.create_user("bob", email="canary@example.org")

    for address in (f"/ops/requests/{request_id}/", f"/ops/requests/{request_id}/?format=json"):
        page = client.get(address).content.decode()
        assert "accounts.user.created" in page
        assert "canary@example.org" not in page


def test_an_objects_timeline_shows_each_version_and_what_it_was_then(client: Client, auditor: User) -> None:
    thing = Thing.objects.create(name="first-name", number=1)
    Thing.objects.filter(pk=thing.pk).update(name="second-name")
    address = f"/audit/objects/everything.thing/{thing.pk}/"
    created, updated = Event.objects.filter(object_type="everything.thing", object_id=str(thing.pk)).order_by("id")

    latest = text_of(client.get(address))
    then = text_of(client.get(address, {"version": created.pk, "part": "state"}))
    before = text_of(client.get(address, {"at": "2020-01-01"}))

    assert "<td>second-name</td>" in latest
    assert 'type="range" min="0" max="1" value="1"' in latest
    assert "<td>first-name</td>" in then
    assert "<html" not in then
    assert "It did not exist" in before
    thing.delete()
    assert "It no longer existed" in text_of(client.get(address))
    assert "<td>second-name</td>" in text_of(client.get(address, {"version": updated.pk}))
    for wrong in ({"version": "x"}, {"version": "1"}, {"at": "x"}, {"cursor": "x"}):
        assert client.get(address, wrong).status_code == 404


def test_an_object_that_may_not_be_seen_is_as_one_that_doesnt_exist(client: Client) -> None:
    client.force_login(user_with("view_events_of_everything_tag"))
    thing = Thing.objects.create(name="unseen")

    for address in (f"/audit/objects/everything.thing/{thing.pk}/", "/audit/objects/everything.tag/0/"):
        assert client.get(address).status_code == 404


def test_an_export_is_asked_for_on_its_page_and_fetched_there(client: Client, settings: Any, tmp_path: Any) -> None:
    settings.STORAGES = settings.STORAGES | {
        "audit": {"BACKEND": "django.core.files.storage.FileSystemStorage", "OPTIONS": {"location": str(tmp_path)}}
    }
    client.force_login(user_with("view_event", "export_event"))
    Tag.objects.create(name="exported-tag")
    form = {"format": "ndjson", "query": "action=everything.tag.created"}

    assert client.post("/audit/exports/", form)["Location"] == "/audit/exports/"
    (export,) = Export.objects.all()
    page = text_of(client.get("/audit/exports/"))
    assert "waiting" in page
    assert client.get(f"/audit/exports/{export.pk}/file/").status_code == 404
    files.run(str(export.pk))

    assert "finished" in text_of(client.get("/audit/exports/"))
    fetched = b"".join(client.get(f"/audit/exports/{export.pk}/file/").streaming_content)  # type: ignore[attr-defined]
    assert b"exported-tag" in gzip.decompress(fetched)
    client.force_login(user_with("view_event", "export_event", name="other"))
    assert client.get(f"/audit/exports/{export.pk}/file/").status_code == 404
    client.post("/audit/exports/", {"format": "colour", "query": ""})
    assert Export.objects.count() == 1


def test_who_may_only_read_may_not_export(client: Client, auditor: User) -> None:
    assert client.get("/audit/exports/").status_code == 403


def test_restoring_says_first_what_it_would_do_and_wants_a_reason(client: Client) -> None:
    user = user_with("view_event", "restore_object")
    user.user_permissions.add(Permission.objects.get(codename="change_thing"))
    client.force_login(user)
    thing = Thing.objects.create(name="first-name")
    at = Event.objects.get(object_type="everything.thing", object_id=str(thing.pk)).recorded_at.isoformat()
    Thing.objects.filter(pk=thing.pk).update(name="second-name")
    address = f"/audit/restore/everything.thing/{thing.pk}/"

    plan = client.get(address, {"at": at}).content.decode()
    assert '<del class="diff-old">second-name</del> <ins class="diff-new">first-name</ins>' in plan
    expected = re.search(r'name="expected" value="([^"]+)"', plan)
    assert expected
    form = {"at": at, "expected": expected[1], "reason": ""}
    assert client.post(address, form).status_code == 400
    assert client.post(address, form | {"expected": "x", "reason": "why"}).status_code == 400
    assert client.post(address, form | {"reason": "It was defaced."}).status_code == 302

    thing.refresh_from_db()
    assert thing.name == "first-name"
    restored = Event.objects.get(action="everything.thing.restored", object_id=str(thing.pk))
    assert restored.context["reason"] == "It was defaced."


def test_who_may_only_read_may_not_restore(client: Client, auditor: User) -> None:
    thing = Thing.objects.create(name="first-name")
    at = datetime.now(UTC).isoformat()

    assert client.get(f"/audit/restore/everything.thing/{thing.pk}/", {"at": at}).status_code == 403
    assert Event.objects.filter(action="audit.ledger.restore_denied", object_id=str(thing.pk)).exists()
    assert client.get(f"/audit/restore/everything.thing/{thing.pk}/", {"at": "x"}).status_code == 404
