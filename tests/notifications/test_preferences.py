"""How people want to be told, and the link that ends mails."""

import pytest
from django.test import Client
from django.utils.html import escape

from accounts.models import User
from audit.models import Event
from notifications import actions, queries
from notifications.delivery.actions import create_notification
from notifications.errors import UnknownKindError
from notifications.kinds import KINDS, Channels
from notifications.mailing.unsubscribing import read_token, token_for
from notifications.models import MailKind, Notification, Preference

pytestmark = pytest.mark.django_db(transaction=True)


def test_where_nothing_is_chosen_the_defaults_hold(author: User) -> None:
    assert queries.channels_of(author) == {kind.name: kind.defaults for kind in KINDS.values()}
    assert all(kind.defaults.page for kind in KINDS.values())


def test_a_choice_is_kept_once_and_in_the_ledger(author: User) -> None:
    assert actions.choose_channels(author, {"comment": Channels(digest="weekly")}, actor=author) == 1
    assert actions.choose_channels(author, {"comment": Channels(digest="weekly")}, actor=author) == 0
    assert queries.channels_for(author, "comment") == Channels(digest="weekly")
    event = Event.objects.get(object_type="notifications.preference")
    assert event.action == "notifications.preference.created"
    actions.choose_channels(author, {"comment": Channels()}, actor=author)
    changed = Event.objects.get(action="notifications.preference.updated")
    assert changed.changes == {"digest": ["weekly", "off"]}


def test_nobody_chooses_for_another_nor_of_a_kind_that_is_none(author: User, reader: User) -> None:
    with pytest.raises(PermissionError):
        actions.choose_channels(author, {"comment": Channels()}, actor=reader)
    with pytest.raises(UnknownKindError):
        actions.choose_channels(author, {"gossip": Channels()}, actor=author)


def test_who_wants_nothing_of_a_kind_is_told_nothing(author: User) -> None:
    actions.choose_channels(author, {"comment": Channels(page=False)}, actor=author)
    assert create_notification(author, kind="comment", title="x", url="/") is None
    assert not Notification.objects.exists()


def test_what_is_mailed_alone_is_not_on_the_page(author: User) -> None:
    actions.choose_channels(author, {"comment": Channels(page=False, email=True)}, actor=author)
    create_notification(author, kind="comment", title="x", url="/")
    assert queries.unread_count(author) == 0
    assert actions.mark_all_read(author, actor=author) == 0
    assert not Notification.objects.get().is_read


def chosen_form(**changes: str) -> dict[str, str]:
    """Return the form as it's sent where all is off but `changes`."""
    return {f"{kind}-digest": "off" for kind in KINDS} | {key.replace("__", "-"): text for key, text in changes.items()}


def test_the_page_shows_and_keeps_choices_without_scripts(client: Client, author: User) -> None:
    assert client.get("/notifications/preferences/").status_code == 302
    client.force_login(author)
    page = client.get("/notifications/preferences/").content.decode()
    assert all(escape(kind.label) in page for kind in KINDS.values())
    assert "You have no e-mail address" in page
    form = chosen_form(comment__page="on", comment__digest="daily", mention__email="on")
    saved = client.post("/notifications/preferences/", form, follow=True)
    assert "Saved." in saved.content.decode()
    chosen = queries.channels_of(author)
    assert chosen["comment"] == Channels(page=True, digest="daily")
    assert chosen["mention"] == Channels(page=False, email=True)
    assert chosen["reply"].is_silent
    refused = client.post("/notifications/preferences/", {**form, "comment-digest": "hourly"})
    assert (refused.status_code, queries.channels_of(author)) == (400, chosen)
    assert "Nothing was saved" in refused.content.decode()


def test_the_api_shows_and_changes_one_kind(client: Client, author: User) -> None:
    client.force_login(author)
    listed = client.get("/api/notifications/preferences/").json()
    assert [row["kind"] for row in listed] == list(KINDS)
    address = "/api/notifications/preferences/comment/"
    assert client.get(address).json() == listed[0]
    changed = client.patch(address, {"email": False, "digest": "weekly"}, content_type="application/json")
    assert changed.json() == {**listed[0], "email": False, "digest": "weekly"}
    assert queries.channels_for(author, "comment") == Channels(page=True, digest="weekly")
    wrong = client.patch(address, {"digest": "hourly"}, content_type="application/json")
    assert (wrong.status_code, list(wrong.json()["errors"])) == (400, ["digest"])
    missing = client.get("/api/notifications/preferences/gossip/")
    assert (missing.status_code, missing.headers["Content-Type"]) == (404, "application/problem+json")
    assert "Kinds are: comment, reply" in missing.json()["detail"]


def test_opening_the_link_of_a_mail_asks_and_posting_to_it_ends_the_mails(author: User) -> None:
    client = Client(enforce_csrf_checks=True)  # a mail program has no cookie
    address = "/notifications/unsubscribe/?token=" + token_for(author.pk, MailKind.SOON)
    assert "Unsubscribe" in client.get(address).content.decode()
    assert not Preference.objects.exists()
    for _ in range(2):
        done = client.post(address, {"List-Unsubscribe": "One-Click"})
        assert done.status_code == 200
        assert "no notification e-mails any more" in done.content.decode()
    assert not any(channels.email for channels in queries.channels_of(author).values())
    assert queries.channels_for(author, "subscription").digest == "daily"  # other mails go on
    event = Event.objects.filter(object_type="notifications.preference").first()
    assert event is not None
    assert (event.actor_label, event.context["reason"]) == ("author", "The link in a mail")


def test_a_digests_link_ends_that_digest_alone(client: Client, author: User) -> None:
    actions.choose_channels(author, {"comment": Channels(email=True, digest="weekly")}, actor=author)
    client.post("/notifications/unsubscribe/?token=" + token_for(author.pk, MailKind.DAILY))
    chosen = queries.channels_of(author)
    assert chosen["subscription"].digest == "off"
    assert chosen["comment"] == Channels(email=True, digest="weekly")


@pytest.mark.parametrize("wrong", ["", "x", "a" * 5_000, "forged"])
def test_a_link_that_is_not_ours_is_not_found_and_the_denial_recorded(client: Client, author: User, wrong: str) -> None:
    token = token_for(author.pk, MailKind.SOON)
    given = token[:-1] + ("A" if token[-1] != "A" else "B") if wrong == "forged" else wrong
    assert read_token(given) is None
    assert client.post("/notifications/unsubscribe/", query_params={"token": given}).status_code == 404
    assert not Preference.objects.exists()
    assert Event.objects.get(outcome="denied").action == "notifications.preference.updated"
