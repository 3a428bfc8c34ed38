"""The page and the API of notifications."""

import pytest
from django.test import Client

from accounts.models import User
from audit.models import Event
from notifications import actions
from notifications.delivery.actions import create_notification
from notifications.models import Notification

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def notification(author: User) -> Notification:
    notification = create_notification(author, kind="comment", title="<b>Hi</b>", url="/blog/x/")
    assert notification is not None
    return notification


def test_a_stranger_is_sent_to_the_login(client: Client, notification: Notification) -> None:
    assert client.get("/notifications/").status_code == 302
    assert client.post("/notifications/read-all/").status_code == 302
    assert client.get("/api/notifications/").status_code in (401, 403)


def test_the_page_shows_and_marks_without_scripts(client: Client, author: User, notification: Notification) -> None:
    client.force_login(author)
    page = client.get("/notifications/").content.decode()
    assert "&lt;b&gt;Hi&lt;/b&gt;" in page
    assert client.get(f"/notifications/{notification.pk}/read/").status_code == 405
    assert client.post(f"/notifications/{notification.pk}/read/")["Location"] == "/notifications/"
    notification.refresh_from_db()
    assert notification.is_read
    assert client.post("/notifications/read-all/").status_code == 302


def test_the_api_lists_and_marks(client: Client, author: User, notification: Notification) -> None:
    client.force_login(author)
    listed = client.get("/api/notifications/").json()["results"]
    assert [row["title"] for row in listed] == ["<b>Hi</b>"]
    assert listed[0]["read_at"] is None
    assert client.post(f"/api/notifications/{notification.pk}/read/").json() == {"unread": 0}
    assert client.post("/api/notifications/read-all/").json() == {"unread": 0}


@pytest.mark.parametrize("prefix", ["", "/api"])
def test_someone_elses_is_not_found_and_the_denial_recorded(
    client: Client, reader: User, notification: Notification, prefix: str
) -> None:
    client.force_login(reader)
    assert client.get("/api/notifications/").json()["results"] == []
    assert client.post(f"{prefix}/notifications/{notification.pk}/read/").status_code == 404
    assert client.post(f"{prefix}/notifications/{notification.pk + 1}/read/").status_code == 404
    notification.refresh_from_db()
    assert not notification.is_read
    denial = Event.objects.get(outcome="denied")
    assert (denial.object_type, denial.object_id) == ("notifications.notification", str(notification.pk))


def test_the_list_is_narrowed_to_what_is_unread_and_to_a_kind(client: Client, author: User) -> None:
    for kind in ("comment", "reply", "mention"):
        create_notification(author, kind=kind, title=f"A {kind}", url="/")
    actions.mark_read(Notification.objects.get(kind="comment"), actor=author)
    client.force_login(author)

    def titles(query: str) -> list[str]:
        return [row["title"] for row in client.get(f"/api/notifications/?{query}").json()["results"]]

    assert titles("") == ["A mention", "A reply", "A comment"]
    assert titles("unread=true") == ["A mention", "A reply"]
    assert titles("unread=false&kind=comment") == ["A comment"]
    assert titles("unread=true&kind=comment") == []
    assert client.get("/api/notifications/?kind=gossip").status_code == 400
    page = client.get("/notifications/?unread=1&kind=reply").content.decode()
    assert "A reply" in page
    assert "A comment" not in page
    assert "A mention" not in page
    assert client.get("/notifications/?kind=gossip&page=x").status_code == 200


def test_the_api_goes_through_all_by_cursor(client: Client, author: User) -> None:
    for number in range(7):
        create_notification(author, kind="comment", title=f"{number}", url="/")
    client.force_login(author)
    seen, address = [], "/api/notifications/?limit=3"
    while address:
        answer = client.get(address).json()
        seen += [row["title"] for row in answer["results"]]
        address = answer["next"]
    assert seen == ["6", "5", "4", "3", "2", "1", "0"]
