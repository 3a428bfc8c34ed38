"""Several of a kind on one topic are one line while unread, and count as one."""

import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connections

from accounts.models import User
from audit.models import Event
from notifications import actions, queries
from notifications.delivery.actions import create_notification
from notifications.models import Notification
from notifications.tasks import notify_user

pytestmark = pytest.mark.django_db(transaction=True)

CLOCKS = {"topic": "blog.post-1", "topic_title": "“Clocks”"}


def comment(user: User, number: int = 1, **fields: str) -> Notification:
    wanted = {"kind": "comment", "title": f"Rob's comment {number}", "url": f"/blog/{number}/", **CLOCKS, **fields}
    notification = create_notification(user, **wanted)
    assert notification is not None
    return notification


def test_three_comments_on_a_post_are_one_line(author: User) -> None:
    first = comment(author, 1)
    assert (first.headline, first.count) == ("Rob's comment 1", 1)
    assert comment(author, 2) == comment(author, 3) == first
    (shown,) = queries.notifications_of(author)
    assert (shown.headline, shown.url, shown.as_message()["count"]) == ("3 comments on “Clocks”", "/blog/1/", 3)
    assert shown.latest_at > shown.created_at
    assert queries.unread_count(author) == 1
    assert Event.objects.filter(action="notifications.notification.created").count() == 3
    assert not Event.objects.filter(action="notifications.notification.updated").exists()  # the count is derived


def test_another_topic_kind_or_person_is_another_line(author: User, reader: User) -> None:
    comment(author)
    comment(author, kind="reply")
    comment(author, topic="blog.post-2")
    comment(author, topic="", topic_title="")
    comment(author, topic="", topic_title="")
    comment(reader)
    assert queries.unread_count(author) == 5
    assert queries.unread_count(reader) == 1


def test_what_grew_comes_first(author: User) -> None:
    grown, other = comment(author), comment(author, topic="blog.post-2")
    comment(author, 2)
    assert list(queries.notifications_of(author)) == [grown, other]


def test_reading_one_reads_all_that_it_stands_for_and_the_next_begins_anew(author: User) -> None:
    first = comment(author)
    comment(author, 2)
    member = Notification.objects.get(leader=first)
    actions.mark_read(member, actor=author)
    assert not Notification.objects.filter(read_at__isnull=True).exists()
    anew = comment(author, 3)
    assert (anew.count, anew != first, queries.unread_count(author)) == (1, True, 1)
    assert actions.mark_all_read(author, actor=author) == 1


def test_a_task_that_runs_twice_counts_once_in_a_group_also_when_that_was_read(author: User) -> None:
    comment(author)
    task_id = str(uuid.uuid4())
    arguments = {"recipient_id": author.pk, "kind": "comment", "title": "Again", "url": "/", **CLOCKS}
    notify_user.apply(kwargs=arguments, task_id=task_id)
    create_notification(author, kind="comment", title="x", url="/", source_task_id=uuid.UUID(task_id), **CLOCKS)
    assert queries.notifications_of(author).get().count == 2
    actions.mark_all_read(author, actor=author)
    create_notification(author, kind="comment", title="x", url="/", source_task_id=uuid.UUID(task_id), **CLOCKS)
    assert queries.unread_count(author) == 0


def test_many_at_once_make_one_group_and_none_is_lost(author: User) -> None:
    def one(number: int) -> None:
        try:
            comment(author, number)
            if number % 5 == 0:
                actions.mark_all_read(author, actor=author)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(one, range(20)))
    leaders = Notification.objects.filter(leader__isnull=True)
    assert sum(leader.count for leader in leaders) == Notification.objects.count() == 20
    for leader in leaders:
        assert leader.count == 1 + leader.members.count()
        assert {member.is_read for member in leader.members.all()} <= {leader.is_read}
    assert queries.unread_count(author) <= 1
