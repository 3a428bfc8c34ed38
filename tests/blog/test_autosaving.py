"""What is typed isn't lost, what two people type neither, and who else is there is told."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import redis as redis_py
from django.db import IntegrityError, transaction
from django.db.models import QuerySet
from django.test import Client
from django.utils import timezone

from accounts.models import User
from audit.models import Event
from blog import actions, editing, rubbish
from blog.errors import ConflictError, NotAllowedError
from blog.models import PendingCopy, Post

pytestmark = pytest.mark.django_db
NewEvents = Callable[[str], QuerySet[Event]]
JSON = {"Accept": "application/json"}


def as_user(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def typed(**values: str) -> dict[str, str]:
    return {"title": "Typed", "description": "", "body": "Half a sent", "category": "", "tags": "one, two", **values}


def test_a_draft_is_saved_while_it_is_typed_and_the_ledger_says_so(
    draft: Post, author: User, new_events: NewEvents
) -> None:
    answer = as_user(author).post("/blog/on-drafts/autosave/", {**typed(), "version": draft.version})
    draft.refresh_from_db()
    assert answer.json()["version"] == draft.version
    assert answer.json()["is_saved"] is True
    assert (draft.title, draft.body_markdown, draft.slug) == ("Typed", "Half a sent", "on-drafts")
    event = new_events("blog.post.updated").filter(changes__has_key="title").get()
    assert event.context["reason"] == "autosave"
    assert not PendingCopy.objects.exists()


def test_what_is_published_stays_as_it_is_while_it_is_typed(post: Post, author: User, other_author: User) -> None:
    post.coauthors.add(other_author)
    client = as_user(author)
    answer = client.post("/blog/on-being-seen/autosave/", {**typed(), "version": post.version}).json()
    assert answer["is_saved"] is False
    assert "version" not in answer
    before = post.version
    post.refresh_from_db()
    assert (post.title, post.version) == ("On being seen", before)
    assert "you typed something here" in client.get("/blog/on-being-seen/edit/").content.decode()
    page = client.get("/blog/on-being-seen/edit/?pending=1").content.decode()
    assert "Half a sent" in page
    assert 'value="one, two"' in page
    assert "Half a sent" not in as_user(other_author).get("/blog/on-being-seen/edit/?pending=1").content.decode()


def test_a_copy_ends_when_it_is_saved_or_thrown_away(post: Post, author: User) -> None:
    client = as_user(author)
    client.post("/blog/on-being-seen/autosave/", typed())
    client.post("/blog/on-being-seen/autosave/", typed(body="More."))
    assert PendingCopy.objects.get().body == "More."
    client.post("/blog/on-being-seen/edit/", {**typed(body="More."), "version": post.version})
    assert not PendingCopy.objects.exists()
    client.post("/blog/on-being-seen/autosave/", typed())
    assert client.post("/blog/on-being-seen/discard/").status_code == 302
    assert not PendingCopy.objects.exists()


def test_a_new_post_is_kept_before_it_is_one(author: User) -> None:
    client = as_user(author)
    assert client.post("/blog/new/autosave/", typed(title="")).json()["is_saved"] is False
    assert not Post.objects.exists()
    assert "you typed something here" in client.get("/blog/new/").content.decode()
    assert "Half a sent" in client.get("/blog/new/?pending=1").content.decode()
    client.post("/blog/new/", typed())
    assert (Post.objects.count(), PendingCopy.objects.count()) == (1, 0)
    client.post("/blog/new/autosave/", typed())
    client.post("/blog/new/discard/")
    assert not PendingCopy.objects.exists()


@pytest.mark.parametrize("wrong", [{"title": ""}, {"body": ""}, {"tags": "!?"}, {"category": "none"}])
def test_a_draft_that_cannot_be_saved_yet_is_kept_beside(draft: Post, author: User, wrong: dict[str, str]) -> None:
    answer = as_user(author).post("/blog/on-drafts/autosave/", {**typed(**wrong), "version": draft.version})
    assert (answer.status_code, answer.json()["is_saved"]) == (200, False)
    assert PendingCopy.objects.get().user == author
    draft.refresh_from_db()
    assert draft.title == "On drafts"


def test_nobody_autosaves_what_they_may_not_edit(draft: Post, post: Post, other_author: User, reader: User) -> None:
    assert as_user(other_author).post("/blog/on-drafts/autosave/", typed()).status_code == 404
    assert as_user(other_author).post("/blog/on-being-seen/autosave/", typed()).status_code == 403
    assert as_user(reader).post("/blog/new/autosave/", typed()).status_code == 403
    with pytest.raises(NotAllowedError):
        actions.autosave(post, typed(), actor=reader)
    assert not PendingCopy.objects.exists()


def test_one_person_has_one_copy_of_a_post(author: User, post: Post) -> None:
    for target in (post, None):
        PendingCopy.objects.create(user=author, post=target)
        with pytest.raises(IntegrityError), transaction.atomic():
            PendingCopy.objects.create(user=author, post=target)


def test_cleanup_knows_copies_that_nobody_came_back_for(author: User, post: Post) -> None:
    old = PendingCopy.objects.create(user=author, post=post, saved_at=timezone.now() - timedelta(days=31))
    PendingCopy.objects.create(user=author)
    assert list(rubbish.pending_copies(None)) == [old]


# --- two people at once --------------------------------------------------------------------------------------------


def test_a_lost_update_is_refused_with_both_texts_on_the_page(post: Post, author: User, admin_user: User) -> None:
    opened = post.version
    actions.update_post(post, actor=admin_user, body="A **long** post that somebody made longer, and longer again.")
    client = as_user(author)
    mine = {"title": "Mine", "body": "A **short** post, and my hour of work on it.", "version": opened, "tags": "kept"}
    answer = client.post("/blog/on-being-seen/edit/", mine)
    page = answer.content.decode()
    assert answer.status_code == 409
    assert "Somebody was faster" in page
    assert "my hour of work" in page
    assert 'value="kept"' in page
    assert "diff-old" in page
    assert 'href="/blog/on-being-seen/history/"' in page
    post.refresh_from_db()
    assert post.title == "On being seen"
    assert f'name="version" value="{post.version}"' in page
    assert "you typed something here" in client.get("/blog/on-being-seen/edit/").content.decode()
    again = client.post("/blog/on-being-seen/edit/", {**mine, "version": post.version})
    assert again.status_code == 302
    post.refresh_from_db()
    assert (post.title, post.body_markdown) == ("Mine", mine["body"])


def test_publishing_in_between_is_a_change_too(draft: Post, author: User) -> None:
    opened = draft.version
    actions.publish_post(draft, actor=author)
    values = {"title": "Not for all", "body": "x", "version": opened}
    answer = as_user(author).post("/blog/on-drafts/edit/", values)
    assert answer.status_code == 409
    assert Post.objects.get().title == "On drafts"


def test_saves_of_two_people_by_themselves_do_not_overwrite(draft: Post, author: User, other_author: User) -> None:
    draft.coauthors.add(other_author)
    opened = {"version": draft.version}
    assert as_user(author).post("/blog/on-drafts/autosave/", {**typed(), **opened}).status_code == 200
    late = as_user(other_author).post("/blog/on-drafts/autosave/", {**typed(body="Other"), **opened})
    assert late.status_code == 409
    assert Post.objects.get().body_markdown == "Half a sent"


def test_an_api_client_says_which_version_it_changed(post: Post, author: User) -> None:
    opened = post.version
    changed = actions.update_post(post, actor=author, title="First", version=opened)
    with pytest.raises(ConflictError):
        actions.update_post(post, actor=author, title="Second", version=opened)
    assert actions.update_post(post, actor=author, title="Second", version=changed.version).title == "Second"


# --- who else is there ---------------------------------------------------------------------------------------------


def test_who_else_has_the_editor_open_is_told(post: Post, author: User, admin_user: User) -> None:
    first, second = as_user(author), as_user(admin_user)
    assert "open for editing" not in first.get("/blog/on-being-seen/edit/").content.decode()
    assert first.post("/blog/on-being-seen/editing/").json() == {"others": [], "version": post.version}
    assert "Anna has this post open" in second.get("/blog/on-being-seen/edit/").content.decode()
    assert first.post("/blog/on-being-seen/editing/").json()["others"] == ["Ada"]
    assert second.post("/blog/on-being-seen/editing/", {"leave": "1"}).status_code == 204
    assert first.post("/blog/on-being-seen/editing/").json()["others"] == []


def test_a_heartbeat_that_stops_expires(
    post: Post, author: User, admin_user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    editing.note_editing(post, author)
    assert [user.username for user in editing.note_editing(post, admin_user)] == ["anna"]
    now = editing.time.time()
    monkeypatch.setattr(editing.time, "time", lambda: now + editing.EXPIRE_SECONDS + 1)
    assert editing.note_editing(post, admin_user) == []


def test_without_redis_nobody_is_told_of_and_the_editor_works(
    post: Post, author: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    away = redis_py.Redis(host="127.0.0.1", port=1, socket_connect_timeout=0.1)
    monkeypatch.setattr(editing, "get_redis_connection", lambda name: away)
    client = as_user(author)
    assert client.get("/blog/on-being-seen/edit/").status_code == 200
    assert client.post("/blog/on-being-seen/editing/").json()["others"] == []
    assert client.post("/blog/on-being-seen/editing/", {"leave": "1"}).status_code == 204


def test_readers_learn_nothing_of_who_edits(post: Post, reader: User) -> None:
    assert as_user(reader).post("/blog/on-being-seen/editing/").status_code == 403


# --- preview -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/blog/new/preview/", "/blog/on-drafts/preview/"])
def test_a_preview_is_the_text_as_readers_see_it(draft: Post, author: User, path: str) -> None:
    client = as_user(author)
    sent: dict[str, Any] = {"title": "T", "body": "Some *words*<script>alert(1)</script>"}
    told = client.post(path, sent, headers=JSON).json()
    assert "<em>words</em>" in told["html"]
    assert "<script" not in told["html"]
    page = client.post(path, sent, headers={"Accept": "text/html"}).content.decode()
    assert "<em>words</em>" in page
    assert "alert(1)</script>" not in page
    refused = client.post(path, {"title": "T", "body": ""}, headers=JSON).json()
    assert refused == {"html": "", "refused": "This may not be empty."}
    assert Post.objects.get().title == "On drafts"


def test_previews_are_for_who_writes(reader: User, other_author: User, post: Post) -> None:
    assert as_user(reader).post("/blog/new/preview/", {"body": "x"}).status_code == 403
    assert as_user(other_author).post("/blog/on-being-seen/preview/", {"body": "x"}).status_code == 403
