"""Comments: replies in threads, a quarter of an hour to change one's words, who is told of what, once each."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from accounts.models import User
from blog import actions, limits
from blog.errors import InvalidError, NotAllowedError
from blog.mentions import mentioned_in
from blog.models import Comment, Post
from tasks.models import TaskRun

pytestmark = pytest.mark.django_db
NewUser = Callable[..., User]
PAGE = "/blog/on-being-seen/"


def as_user(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def told() -> list[tuple[str, str, str]]:
    """Return who was told what since the last call: kind, username, title."""
    runs = list(TaskRun.objects.filter(name="notifications.notify_user").order_by("enqueued_at"))
    TaskRun.objects.all().delete()
    names = dict(User.objects.values_list("pk", "username"))
    each = [run.arguments["kwargs"] for run in runs]
    return [(one["kind"], names[one["recipient_id"]], one["title"]) for one in each]


def age(comment: Comment, minutes: int) -> None:
    Comment.objects.filter(pk=comment.pk).update(created_at=timezone.now() - timedelta(minutes=minutes))
    comment.refresh_from_db()


@pytest.fixture
def first(post: Post, reader: User) -> Comment:
    made = actions.add_comment(post, author=reader, body="First.")
    told()
    return made


# --- threads -------------------------------------------------------------------------------------------------------


def test_replies_stand_below_the_first_of_their_thread(post: Post, first: Comment, author: User, reader: User) -> None:
    other = actions.add_comment(post, author=author, body="Another thread.")
    reply = actions.add_comment(post, author=author, body="Below first.", parent=first)
    deep = actions.add_comment(post, author=reader, body="Deeper.", parent=reply)
    assert (reply.parent, reply.thread, deep.parent, deep.thread) == (first, first, reply, first)
    page = Client().get(PAGE).content.decode()
    places = [page.index(f'id="comment-{one.pk}"') for one in (first, reply, deep, other)]
    assert places == sorted(places)
    assert page.count("· to Anna") == 1  # the deeper one says whom it answers
    assert "4 comments" in page


def test_a_reply_is_written_from_the_page(post: Post, first: Comment, author: User) -> None:
    client = as_user(author)
    assert f"reply={first.pk}#comment-form" in client.get(PAGE).content.decode()
    form = client.get(f"{PAGE}?reply={first.pk}").content.decode()
    assert f'name="parent" value="{first.pk}"' in form
    assert "You reply to" in form
    response = client.post(f"{PAGE}comment/", {"body": "Yes.", "parent": first.pk})
    reply = Comment.objects.get(parent=first)
    assert response.headers["Location"] == reply.get_absolute_url()
    assert client.get(reply.get_absolute_url()).headers["Location"] == f"{PAGE}#comment-{reply.pk}"
    for odd in ("x", "0", "99999999999999999999", "1e3", ""):
        assert client.get(f"{PAGE}?reply={odd}").status_code == 200


def test_a_reply_that_was_refused_stays_one(post: Post, first: Comment, author: User) -> None:
    response = as_user(author).post(f"{PAGE}comment/", {"body": "ä" * 6_000, "parent": first.pk})
    assert response.status_code == 400
    assert f'name="parent" value="{first.pk}"' in response.content.decode()


def test_a_link_to_a_reply_leads_to_the_page_of_its_thread(
    post: Post, reader: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "COMMENTS_PER_PAGE", 2)
    threads = [actions.add_comment(post, author=reader, body=f"{number}") for number in range(3)]
    replies = [actions.add_comment(post, author=reader, body="r", parent=threads[0]) for _ in range(3)]
    assert Client().get(replies[-1].get_absolute_url()).headers["Location"] == f"{PAGE}#comment-{replies[-1].pk}"
    assert Client().get(threads[2].get_absolute_url()).headers["Location"] == f"{PAGE}?page=2#comment-{threads[2].pk}"
    assert f'id="comment-{replies[-1].pk}"' in Client().get(PAGE).content.decode()


def test_what_cannot_be_replied_to_is_explained(
    post: Post, draft: Post, first: Comment, author: User, moderator: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = actions.publish_post(draft, actor=author)
    with pytest.raises(InvalidError, match="isn't there any more"):
        actions.add_comment(elsewhere, author=author, body="x", parent=first)
    monkeypatch.setattr(limits, "REPLIES_OF_A_THREAD", 1)
    actions.add_comment(post, author=author, body="x", parent=first)
    with pytest.raises(InvalidError, match="begin another"):
        actions.add_comment(post, author=author, body="y", parent=first)
    actions.decide_reports(first, actor=moderator, decision="hidden")
    with pytest.raises(InvalidError, match="isn't there any more"):
        actions.add_comment(post, author=author, body="x", parent=first)


def test_a_comment_that_was_answered_leaves_its_place_when_it_goes(post: Post, first: Comment, author: User) -> None:
    reply = actions.add_comment(post, author=author, body="Below.", parent=first)
    actions.delete_comment(first, actor=first.author)
    first.refresh_from_db()
    assert (first.state, first.body_markdown, first.body_html) == (Comment.State.DELETED, "", "")
    page = Client().get(PAGE).content.decode()
    assert "This comment was deleted." in page
    assert "Below." in page
    assert "1 comment<" in page
    assert "Rob" not in page
    actions.delete_comment(reply, actor=author)
    assert not Comment.objects.filter(pk=reply.pk).exists()


# --- changing one's words ------------------------------------------------------------------------------------------


def test_words_can_be_changed_for_a_quarter_of_an_hour_and_by_moderators_always(
    first: Comment, reader: User, moderator: User, author: User
) -> None:
    age(first, 14)
    actions.edit_comment(first, actor=reader, body="Second.")
    age(first, 16)
    with pytest.raises(NotAllowedError):
        actions.edit_comment(first, actor=reader, body="Third.")
    assert as_user(reader).get(f"/blog/comments/{first.pk}/edit/").status_code == 403
    edit = f"/blog/comments/{first.pk}/edit/"
    assert edit not in as_user(reader).get(PAGE).content.decode()
    assert edit in as_user(moderator).get(PAGE).content.decode()
    assert actions.edit_comment(first, actor=moderator, body="Mild.").body_markdown == "Mild."
    with pytest.raises(NotAllowedError):
        actions.edit_comment(first, actor=author, body="Mine.")
    actions.delete_comment(first, actor=reader)
    assert not Comment.objects.exists()


# --- who is told ---------------------------------------------------------------------------------------------------


def test_each_is_told_once_for_what_is_nearest(
    post: Post, first: Comment, author: User, other_author: User, reader: User, moderator: User
) -> None:
    reply = actions.add_comment(post, author=other_author, body="@rob and @anna, and @mona @mona: no.", parent=first)
    assert told() == [
        ("reply", "rob", "Otto replied to your comment on “On being seen”"),
        ("mention", "anna", "Otto mentioned you in a comment on “On being seen”"),
        ("mention", "mona", "Otto mentioned you in a comment on “On being seen”"),
    ]
    actions.add_comment(post, author=author, body="@anna talks to herself", parent=reply)
    assert told() == [("reply", "otto", "Anna replied to your comment on “On being seen”")]
    actions.add_comment(post, author=reader, body="To all.")
    assert told() == [("comment", "anna", "Rob commented on “On being seen”")]


def test_who_is_mentioned_only_by_an_edit_is_told_then(first: Comment, reader: User, moderator: User) -> None:
    actions.edit_comment(first, actor=reader, body="@mona, look.")
    actions.edit_comment(first, actor=reader, body="@mona, look here.")
    assert told() == [("mention", "mona", "Rob mentioned you in a comment on “On being seen”")]


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("@anna hello", ["anna"]),
        ("(@anna), @otto.", ["anna", "otto"]),
        ("mail anna@anna.example or //x/@anna", []),
        ("`@anna` and\n```\n@otto\n```\nbut @rob", ["rob"]),
        ("@nobody @ @@anna", []),
        ("@ANNA", []),
    ],
)
def test_mentions_are_names_in_prose(
    text: str, names: list[str], author: User, other_author: User, reader: User
) -> None:
    assert [user.username for user in mentioned_in(text)] == names


def test_only_so_many_are_told_by_one_comment(new_user: NewUser) -> None:
    people = [new_user(f"user{number}") for number in range(limits.MENTIONS_OF_A_COMMENT + 5)]
    assert len(mentioned_in(" ".join(f"@{user.username}" for user in people))) == limits.MENTIONS_OF_A_COMMENT


# --- the API -------------------------------------------------------------------------------------------------------


def test_the_api_replies_and_tells_threads(post: Post, first: Comment, author: User) -> None:
    client, comments = as_user(author), "/api/blog/posts/on-being-seen/comments/"

    def send(data: dict[str, Any]) -> Any:
        return client.post(comments, data, content_type="application/json")

    made = send({"body": "Yes.", "parent": first.pk}).json()
    assert (made["parent"], made["thread"], made["state"]) == (first.pk, first.pk, "visible")
    assert send({"body": "x", "parent": 0}).json()["errors"].keys() == {"parent"}
    actions.delete_comment(first, actor=first.author)
    listed = client.get(comments).json()["results"]
    assert [(one["state"], one["body"], one["thread"]) for one in listed] == [
        ("deleted", "", None),
        ("visible", "Yes.", first.pk),
    ]
