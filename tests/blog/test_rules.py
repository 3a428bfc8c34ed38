"""Who may do what, as one table, asked of the rules and of the actions."""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser
from django.db.models import QuerySet

from accounts.models import User
from audit.models import Event
from blog import actions, queries, rules
from blog.errors import NotAllowedError
from blog.models import Comment, Post

pytestmark = pytest.mark.django_db

NewEvents = Callable[[str], QuerySet[Event]]


@pytest.fixture
def people(author: User, other_author: User, moderator: User, reader: User, admin_user: User) -> dict[str, Any]:
    return {
        "author": author,
        "other": other_author,
        "moderator": moderator,
        "reader": reader,
        "admin": admin_user,
        "anonymous": AnonymousUser(),
    }


@pytest.mark.parametrize(
    ("rule", "allowed"),
    [
        (rules.can_edit_post, {"author", "admin"}),
        (rules.can_unpublish_post, {"author", "admin", "moderator"}),
        (rules.can_comment_on, {"author", "other", "moderator", "reader", "admin"}),
    ],
)
def test_of_a_published_post(rule: Any, allowed: set[str], people: dict[str, Any], post: Post) -> None:
    assert {name for name, user in people.items() if rule(user, post)} == allowed


@pytest.mark.parametrize(
    ("rule", "allowed"),
    [
        (rules.can_edit_comment, {"reader", "moderator", "admin"}),
        (rules.can_delete_comment, {"reader", "moderator", "admin"}),
        (rules.can_moderate_comment, {"moderator", "admin"}),
    ],
)
def test_of_a_comment(rule: Any, allowed: set[str], people: dict[str, Any], post: Post, reader: User) -> None:
    comment = actions.add_comment(post, author=reader, body="Mine.")
    assert {name for name, user in people.items() if rule(user, comment)} == allowed


def test_who_may_write(people: dict[str, Any]) -> None:
    assert {name for name, user in people.items() if rules.can_write_posts(user)} == {"author", "other", "admin"}


def test_a_draft_is_seen_by_its_authors_and_administrators(people: dict[str, Any], draft: Post) -> None:
    seen = {name for name, user in people.items() if queries.posts_visible_to(user).filter(pk=draft.pk).exists()}
    assert seen == {"author", "admin"}
    draft.coauthors.add(people["other"])
    assert draft in queries.posts_visible_to(people["other"])
    assert rules.can_edit_post(people["other"], draft)


def test_nobody_comments_on_a_draft(people: dict[str, Any], draft: Post) -> None:
    assert not any(rules.can_comment_on(user, draft) for user in people.values())


def test_who_was_an_author_keeps_reading_and_stops_writing(author: User, draft: Post) -> None:
    author.groups.clear()
    author = User.objects.get(pk=author.pk)  # permissions are cached on the object
    assert draft in queries.posts_visible_to(author)
    assert not rules.can_edit_post(author, draft)


def test_an_inactive_account_does_nothing(author: User, post: Post) -> None:
    User.objects.filter(pk=author.pk).update(is_active=False)
    author = User.objects.get(pk=author.pk)
    assert not rules.can_edit_post(author, post)
    assert not rules.can_comment_on(author, post)


Act = Callable[[Post, Comment, User], Any]


@pytest.mark.parametrize(
    ("name", "act"),
    [
        ("create_post", lambda post, comment, user: actions.create_post(actor=user, title="T", body="B")),
        ("update_post", lambda post, comment, user: actions.update_post(post, actor=user, title="T")),
        ("publish_post", lambda post, comment, user: actions.publish_post(post, actor=user)),
        ("unpublish_post", lambda post, comment, user: actions.unpublish_post(post, actor=user)),
        ("delete_post", lambda post, comment, user: actions.delete_post(post, actor=user)),
        ("edit_comment", lambda post, comment, user: actions.edit_comment(comment, actor=user, body="B")),
        ("delete_comment", lambda post, comment, user: actions.delete_comment(comment, actor=user)),
    ],
)
def test_each_action_refuses_and_the_ledger_remembers(
    name: str, act: Act, post: Post, moderator: User, new_user: Callable[..., User], new_events: NewEvents
) -> None:
    stranger = new_user("stranger", "reader")
    comment = actions.add_comment(post, author=moderator, body="Words.")
    before = [(row.title, row.status) for row in Post.objects.all()]

    with pytest.raises(NotAllowedError):
        act(post, comment, stranger)

    event = new_events("blog.access.denied").get()
    assert (event.outcome, event.changes) == ("denied", {"action": name})
    assert [(row.title, row.status) for row in Post.objects.all()] == before
    assert Comment.objects.get().body_markdown == "Words."
