"""Readers report comments, moderators decide; those concerned are told, and the ledger has all of it."""

from collections.abc import Callable
from typing import Any

import pytest
from django.db.models import QuerySet
from django.test import Client

from accounts.models import User
from audit.models import Event
from blog import actions, queries
from blog.errors import InvalidError, NotAllowedError
from blog.models import Comment, Post, Report
from tests.blog.test_discussion import PAGE, as_user, told

pytestmark = pytest.mark.django_db
NewEvents = Callable[[str], QuerySet[Event]]


@pytest.fixture
def bad(post: Post, other_author: User) -> Comment:
    made = actions.add_comment(post, author=other_author, body="Buy **lamps**!")
    told()
    return made


@pytest.fixture
def reported(bad: Comment, reader: User) -> Comment:
    actions.report_comment(bad, actor=reader, reason="spam", note="Third time.")
    return bad


def test_a_reader_reports_a_comment_once_from_its_link(bad: Comment, reader: User, other_author: User) -> None:
    client, path = as_user(reader), f"/blog/comments/{bad.pk}/report/"
    assert path in client.get(PAGE).content.decode()
    assert path not in as_user(other_author).get(PAGE).content.decode()
    assert path not in Client().get(PAGE).content.decode()
    assert "Buy <strong>lamps</strong>!" in client.get(path).content.decode()
    assert client.post(path, {"reason": "spam", "note": "Third."}).headers["Location"] == bad.get_absolute_url()
    again = client.post(path, {"reason": "abuse"})
    assert again.status_code == 400
    assert "reported this comment already" in again.content.decode()
    report = Report.objects.get()
    assert (report.reporter, report.reason, report.note, report.decision) == (reader, "spam", "Third.", "")


def test_one_does_not_report_oneself_nor_what_is_gone(reported: Comment, other_author: User, moderator: User) -> None:
    with pytest.raises(NotAllowedError):
        actions.report_comment(reported, actor=other_author, reason="spam")
    hidden = actions.decide_reports(reported, actor=moderator, decision="hidden")
    with pytest.raises(NotAllowedError):
        actions.report_comment(hidden, actor=moderator, reason="spam")


@pytest.mark.parametrize(
    ("values", "field"), [({"reason": "x"}, "reason"), ({"reason": "spam", "note": "x" * 501}, "note")]
)
def test_what_a_report_says_is_checked(bad: Comment, reader: User, values: dict[str, str], field: str) -> None:
    with pytest.raises(InvalidError) as caught:
        actions.report_comment(bad, actor=reader, **values)
    assert set(caught.value.messages) == {field}


def test_moderators_alone_see_the_queue(reported: Comment, reader: User, author: User, moderator: User) -> None:
    for user in (reader, author):
        assert as_user(user).get("/blog/moderation/").status_code == 403
    page = as_user(moderator).get("/blog/moderation/").content.decode()
    for said in ("Buy <strong>lamps</strong>!", "Spam or advertising", "Third time.", "said Rob"):
        assert said in page
    assert "/blog/moderation/" in as_user(moderator).get("/").content.decode()
    assert "/blog/moderation/" not in as_user(reader).get("/").content.decode()


def test_a_hidden_comment_is_gone_for_all_and_can_be_shown_again(
    reported: Comment, moderator: User, new_events: NewEvents
) -> None:
    client = as_user(moderator)
    client.post(f"/blog/comments/{reported.pk}/decide/", {"decision": "hidden", "note": "No adverts, please."})
    for visitor in (Client(), client):
        page = visitor.get(PAGE).content.decode()
        assert "A moderator has hidden this comment." in page
        assert "lamps" not in page
    assert told() == [
        ("moderation", "otto", "A moderator has hidden your comment on “On being seen”"),
        ("moderation", "rob", "The comment that you reported on “On being seen” was hidden"),
    ]
    report = Report.objects.get()
    assert (report.decision, report.decided_by) == ("hidden", moderator)
    event = new_events("blog.comment.updated").get()
    assert (event.changes["state"], event.actor_label) == (["visible", "hidden"], "mona")
    assert (event.context or {})["reason"] == "No adverts, please."
    assert new_events("blog.report.updated").get().changes["decision"] == ["", "hidden"]
    assert "Nothing waits" in client.get("/blog/moderation/").content.decode()
    assert "lamps" in client.get("/blog/moderation/?show=hidden").content.decode()
    client.post(f"/blog/comments/{reported.pk}/decide/", {"decision": "visible"})
    assert "Buy <strong>lamps</strong>!" in Client().get(PAGE).content.decode()


def test_a_dismissed_report_changes_nothing_but_the_queue(reported: Comment, moderator: User, reader: User) -> None:
    actions.decide_reports(reported, actor=moderator, decision="dismissed")
    reported.refresh_from_db()
    assert reported.is_visible
    assert told() == [("moderation", "rob", "The comment that you reported on “On being seen” was left as it is")]
    assert not queries.reported_comments().exists()
    assert actions.report_comment(reported, actor=reader, reason="abuse").decision == ""  # anew


def test_a_deleted_one_has_lost_its_words(reported: Comment, moderator: User) -> None:
    actions.decide_reports(reported, actor=moderator, decision="deleted")
    reported.refresh_from_db()
    assert (reported.state, reported.body_markdown) == (Comment.State.DELETED, "")
    assert Report.objects.get().decision == "deleted"


def test_nobody_decides_on_their_own_words_and_readers_on_none(
    post: Post, moderator: User, reader: User, reported: Comment, new_events: NewEvents
) -> None:
    own = actions.add_comment(post, author=moderator, body="Mine.")
    actions.report_comment(own, actor=reader, reason="other")
    for user, comment in ((moderator, own), (reader, reported)):
        with pytest.raises(NotAllowedError):
            actions.decide_reports(comment, actor=user, decision="dismissed")
        assert as_user(user).post(f"/blog/comments/{comment.pk}/decide/", {"decision": "hidden"}).status_code == 403
    assert new_events("blog.access.denied").filter(changes__action="decide_reports").count() == 4
    assert "another moderator decides" in as_user(moderator).get("/blog/moderation/").content.decode()


def test_the_queue_asks_as_often_for_many_as_for_few(
    post: Post, author: User, reader: User, moderator: User, django_assert_max_num_queries: Any
) -> None:
    client = as_user(moderator)
    for number in range(12):
        comment = actions.add_comment(post, author=author, body=f"{number}")
        actions.report_comment(comment, actor=reader, reason="spam")
        actions.report_comment(comment, actor=moderator, reason="abuse")
    with django_assert_max_num_queries(10):
        assert client.get("/blog/moderation/").status_code == 200


# --- the API -------------------------------------------------------------------------------------------------------


def test_the_api_reports_lists_and_decides(bad: Comment, reader: User, author: User, moderator: User) -> None:
    def call(user: User, path: str, data: Any = None) -> Any:
        client = as_user(user)
        return client.get(path) if data is None else client.post(path, data, content_type="application/json")

    path = f"/api/blog/comments/{bad.pk}/"
    made = call(reader, f"{path}report/", {"reason": "spam"})
    assert (made.status_code, made.json()["decision"]) == (201, "")
    assert call(reader, f"{path}report/", {"reason": "spam"}).status_code == 400
    assert [len(call(user, "/api/blog/reports/?open=1").json()["results"]) for user in (reader, author, moderator)] == [
        *(1, 0, 1)
    ]
    assert Client().get("/api/blog/reports/").status_code == 401
    assert call(reader, f"{path}decide/", {"decision": "hidden"}).status_code == 403
    decided = call(moderator, f"{path}decide/", {"decision": "hidden", "note": "Adverts."}).json()
    assert (decided["state"], decided["body"]) == ("hidden", "")
    assert call(moderator, "/api/blog/reports/?open=1").json()["results"] == []
    assert list(call(moderator, "/api/blog/reports/?open=perhaps").json()["errors"]) == ["open"]
    assert call(moderator, f"{path}decide/", {"decision": "visible"}).json()["body"] == "Buy **lamps**!"
