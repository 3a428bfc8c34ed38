"""A post's history out of the ledger: every change, any version, and the way back."""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser
from django.db.models import QuerySet
from django.test import Client

import audit
from accounts.models import User
from audit.models import Event
from blog import actions, revisions, rules
from blog.errors import ConflictError, NotAllowedError
from blog.models import Category, Post
from telemetry.context import Actor, bind

pytestmark = pytest.mark.django_db
NewEvents = Callable[[str], QuerySet[Event]]


def as_user(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def by(user: User) -> Any:
    return bind(actor_source=Actor("user", str(user.pk), user.username))


def test_each_change_is_a_revision_with_what_differs(author: User, admin_user: User) -> None:
    Category.objects.create(name="Design", slug="design")
    with by(author):
        post = actions.create_post(actor=author, title="Glass", body="It breaks.")
        actions.publish_post(post, actor=author)
    with by(admin_user), audit.reason("a customer asked"):
        actions.update_post(post, actor=admin_user, body="It bends.", category="design", tags=["One"])
    found, more = revisions.revisions_of(post)
    assert more == ""
    assert [(one.who, one.reason, one.is_first) for one in found] == [
        ("ada", "a customer asked", False),
        ("ada", "a customer asked", False),
        ("anna", "", False),
        ("anna", "", True),
    ]
    shown = [{diff.field: (diff.before, diff.after, diff.removed, diff.added) for diff in one.diffs} for one in found]
    assert shown[0] == {"Tags": (None, None, (), ("One",))}
    assert shown[1] == {"Text": ("It breaks.", "It bends.", (), ()), "Category": (None, "Design", (), ())}
    assert shown[2]["Status"] == ("draft", "published", (), ())
    assert shown[3]["Title"] == (None, "Glass", (), ())


def test_what_was_saved_while_it_was_typed_in_one_go_is_one_revision(draft: Post, author: User) -> None:
    with by(author):
        for body in ("A", "A li", "A line."):
            draft.refresh_from_db()
            actions.autosave(draft, {"title": draft.title, "body": body}, actor=author, version=draft.version)
        actions.update_post(draft, actor=author, title="Done")
    found, _ = revisions.revisions_of(draft)
    assert [sorted(one.changes) for one in found[:2]] == [["title"], ["body_markdown"]]
    assert found[1].changes["body_markdown"] == ["Not *yet*.", "A line."]
    assert found[1].reason == "autosave"
    assert len(found) == 3


def test_any_version_can_be_read_and_restored(post: Post, author: User, new_events: NewEvents) -> None:
    Category.objects.create(name="Design", slug="design")
    filed = actions.update_post(post, actor=author, category="design", tags=["One", "Two"])
    revision = revisions.revisions_of(filed)[0][0]
    actions.update_post(filed, actor=author, title="Other", body="Other.", category="", tags=["Three"], slug="other")
    client = as_user(author)
    page = client.get(f"/blog/other/history/{revision.id}/").content.decode()
    assert "A <strong>short</strong> post." in page
    assert "Restore this version" in page
    post.refresh_from_db()
    client.post(f"/blog/other/history/{revision.id}/restore/", {"version": post.version})
    post.refresh_from_db()
    assert (post.title, post.body_markdown, post.slug) == ("On being seen", "A **short** post.", "other")
    assert "<strong>short</strong>" in post.body_html
    assert post.category is not None
    assert {tag.name for tag in post.tags.all()} == {"One", "Two"}
    event = new_events("blog.post.updated").filter(changes__has_key="title").last()
    assert event is not None
    assert event.context["reason"] == f"restored from event {revision.id}"


def test_who_restores_may_say_why(post: Post, author: User, new_events: NewEvents) -> None:
    first = revisions.revisions_of(post)[0][-1].id
    actions.update_post(post, actor=author, body="Second.")
    client, path = as_user(author), f"/blog/on-being-seen/history/{first}/"
    assert 'name="reason"' in client.get(path).content.decode()
    client.post(f"{path}restore/", {"reason": " It was  right. "})
    event = new_events("blog.post.updated").last()
    assert event is not None
    assert event.context["reason"] == f"restored from event {first}: It was right."
    assert f"restored from event {first}: It was right." in client.get("/blog/on-being-seen/history/").content.decode()


def test_a_restore_over_somebodys_change_is_refused(post: Post, author: User) -> None:
    first = revisions.revisions_of(post)[0][-1]
    looked_at = post.version
    actions.update_post(post, actor=author, body="Second.")
    with pytest.raises(ConflictError):
        actions.restore_revision(post, first.id, actor=author, version=looked_at)
    answer = as_user(author).post(
        f"/blog/on-being-seen/history/{first.id}/restore/", {"version": looked_at}, follow=True
    )
    assert "Somebody changed this post" in answer.content.decode()
    post.refresh_from_db()
    assert post.body_markdown == "Second."


def test_a_category_that_is_gone_is_no_hindrance(post: Post, author: User) -> None:
    category_id = Category.objects.create(name="Design", slug="design").pk
    actions.update_post(post, actor=author, category="design", body="In design.")
    revision = next(one for one in revisions.revisions_of(post)[0] if "body_markdown" in one.changes)
    Category.objects.get().delete()
    actions.update_post(post, actor=author, body="Later.")
    restored = actions.restore_revision(post, revision.id, actor=author)
    assert (restored.body_markdown, restored.category) == ("In design.", None)
    page = as_user(author).get("/blog/on-being-seen/history/").content.decode()
    assert f"no. {category_id}" in page


def test_history_is_for_those_who_make_the_post(
    post: Post, author: User, other_author: User, reader: User, moderator: User, admin_user: User, new_events: NewEvents
) -> None:
    event_id = revisions.revisions_of(post)[0][0].id
    for user in (other_author, reader, moderator):
        for path in ("history/", f"history/{event_id}/"):
            assert as_user(user).get(f"/blog/on-being-seen/{path}").status_code == 403
        assert as_user(user).post(f"/blog/on-being-seen/history/{event_id}/restore/").status_code == 403
        with pytest.raises(NotAllowedError):
            actions.restore_revision(post, event_id, actor=user)
    assert Client().get("/blog/on-being-seen/history/").status_code == 302
    assert not rules.can_see_history(AnonymousUser(), post)
    for user in (author, admin_user):
        assert as_user(user).get("/blog/on-being-seen/history/").status_code == 200
    assert new_events("blog.access.denied").filter(changes__action="see_history").count() == 6


def test_another_posts_events_are_not_found(post: Post, draft: Post, author: User) -> None:
    other = revisions.revisions_of(draft)[0][0].id
    for event_id in (other, 999_999_999):
        assert as_user(author).get(f"/blog/on-being-seen/history/{event_id}/").status_code == 404
        assert as_user(author).post(f"/blog/on-being-seen/history/{event_id}/restore/").status_code == 404


def test_a_long_history_has_pages(post: Post, author: User) -> None:
    for number in range(4):
        actions.update_post(post, actor=author, body=f"Text {number}.")
    newest, more = revisions.revisions_of(post, limit=3)
    older, end = revisions.revisions_of(post, before=more, limit=30)
    assert len({one.id for one in [*newest, *older]}) == len(newest) + len(older)
    assert older[-1].is_first
    assert end == ""
    client = as_user(author)
    assert client.get("/blog/on-being-seen/history/", {"before": more}).status_code == 200
    assert client.get("/blog/on-being-seen/history/", {"before": "nonsense"}).status_code == 404
