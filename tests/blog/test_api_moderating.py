"""Moderators see by the API what waits for them and what is hidden, with the words; nobody else does."""

from collections.abc import Callable
from typing import Any

import pytest
from django.db.models import QuerySet
from django.test import Client

from accounts.models import User
from audit.models import Event
from blog import actions
from blog.models import Comment, Post
from tests.blog.test_api import Api
from tests.blog.test_history import as_user

pytestmark = pytest.mark.django_db
NewEvents = Callable[[str], QuerySet[Event]]
QUEUE = "/api/blog/moderation/"


@pytest.fixture
def comments(post: Post, other_author: User, reader: User) -> list[Comment]:
    """Give three comments, of which the last one was reported first."""
    made = [actions.add_comment(post, author=other_author, body=f"Buy **{number}** lamps!") for number in range(3)]
    for comment in reversed(made):
        actions.report_comment(comment, actor=reader, reason="spam", note="Again.")
    return made


def test_what_waits_comes_in_the_order_in_which_it_was_reported(comments: list[Comment], moderator: User) -> None:
    api, seen, address = Api(moderator), [], f"{QUEUE}?limit=2"
    while address:
        page = api("get", address).json()
        seen += page["results"]
        address = page["next"]
    assert [one["id"] for one in seen] == [comment.pk for comment in reversed(comments)]
    first = seen[0]
    assert (first["post"], first["body"], first["author"]["username"]) == ("on-being-seen", "Buy **2** lamps!", "otto")
    (report,) = first["reports"]
    assert (report["reporter"]["username"], report["reason"], report["note"]) == ("rob", "spam", "Again.")


def test_moderators_read_what_is_hidden_and_others_do_not(comments: list[Comment], moderator: User) -> None:
    hidden = actions.decide_reports(comments[1], actor=moderator, decision="hidden")
    (shown,) = Api(moderator)("get", QUEUE, {"show": "hidden"}).json()["results"]
    assert (shown["id"], shown["state"], shown["reports"]) == (hidden.pk, "hidden", [])
    assert shown["body_html"] == "<p>Buy <strong>1</strong> lamps!</p>\n"
    assert len(Api(moderator)("get", QUEUE).json()["results"]) == 2
    assert Api()("get", f"/api/blog/comments/{hidden.pk}/").json()["body"] == ""
    wrong = Api(moderator)("get", QUEUE, {"show": "all"})
    assert (wrong.status_code, set(wrong.json()["errors"])) == (400, {"show"})


def test_a_moderator_decides_on_what_they_read(comments: list[Comment], moderator: User, other_author: User) -> None:
    client, address = as_user(moderator), f"/api/blog/comments/{comments[0].pk}/"

    def decide(decision: str, etag: str) -> int:
        return client.post(
            f"{address}decide/",
            {"decision": decision},
            content_type="application/json",
            headers={"If-Match": etag},
        ).status_code

    read = client.get(address).headers["ETag"]
    actions.edit_comment(comments[0], actor=other_author, body="Never mind.")
    assert decide("deleted", read) == 412
    read = client.get(address).headers["ETag"]
    assert decide("hidden", read) == 200
    assert decide("visible", read) == 412
    assert decide("visible", client.get(address).headers["ETag"]) == 200
    assert Comment.objects.get(pk=comments[0].pk).shown_markdown == "Never mind."


def test_a_long_queue_takes_as_many_queries_as_a_short_one(
    comments: list[Comment], moderator: User, django_assert_max_num_queries: Any
) -> None:
    client = as_user(moderator)
    client.get(QUEUE)
    with django_assert_max_num_queries(50) as long:
        assert len(client.get(QUEUE).json()["results"]) == 3
    actions.decide_reports(comments[0], actor=moderator, decision="dismissed")
    actions.decide_reports(comments[1], actor=moderator, decision="dismissed")
    with django_assert_max_num_queries(50) as short:
        assert len(client.get(QUEUE).json()["results"]) == 1
    assert len(long) == len(short)


def test_the_queue_is_for_moderators(
    comments: list[Comment], reader: User, author: User, new_events: NewEvents
) -> None:
    for user in (reader, author):
        for show in ("reported", "hidden"):
            assert Api(user)("get", QUEUE, {"show": show}).status_code == 403
    assert new_events("blog.access.denied").filter(changes__action="see_reports").count() == 4
    assert Client().get(QUEUE).status_code == 401
