"""Notifications: written once, read once."""

import uuid
from collections.abc import Callable

import pytest
from django.db import transaction

from accounts.models import User
from audit.models import Event
from notifications import actions, queries
from notifications.delivery.actions import create_notification
from notifications.errors import TopicError, UnknownKindError, UnsafeUrlError
from notifications.models import Notification
from notifications.tasks import notify_user
from tasks.models import State, TaskRun
from telemetry import context

pytestmark = pytest.mark.django_db(transaction=True)


def notify(user: User, **fields: str) -> Notification:
    notification = create_notification(user, **{"kind": "comment", "title": "Hello", "url": "/blog/x/", **fields})
    assert notification is not None
    return notification


def test_a_request_enqueues_a_task_with_the_transaction(author: User, reader: User) -> None:
    with pytest.raises(RuntimeError), transaction.atomic():
        actions.request_notification(author, kind="comment", title="Hello", url="/blog/x/", actor=reader)
        raise RuntimeError
    assert not TaskRun.objects.exists()
    about = {"topic": "blog.post-1", "topic_title": "“Clocks”"}
    actions.request_notification(author, kind="comment", title="Hello", url="/blog/x/", actor=reader, **about)
    run = TaskRun.objects.get()
    assert (run.name, run.queue, run.state) == ("notifications.notify_user", "notifications", State.QUEUED)


def test_nobody_is_told_what_they_did_themselves(author: User) -> None:
    assert actions.request_notification(author, kind="comment", title="x", url="/", actor=author) is None
    assert not TaskRun.objects.exists()


@pytest.mark.parametrize("url", ["https://elsewhere/", "//elsewhere/", "/\\elsewhere", "javascript:x", "/a\nb"])
def test_an_address_elsewhere_is_refused(author: User, reader: User, url: str) -> None:
    with pytest.raises(UnsafeUrlError):
        actions.request_notification(author, kind="comment", title="x", url=url, actor=reader)
    with pytest.raises(UnsafeUrlError):
        notify(author, url=url)


def test_an_unknown_kind_is_refused_with_those_there_are(author: User, reader: User) -> None:
    with pytest.raises(UnknownKindError, match=r"'gossip'\. Kinds are: comment, reply"):
        actions.request_notification(author, kind="gossip", title="x", url="/", actor=reader)
    with pytest.raises(UnknownKindError):
        notify(author, kind="gossip")
    assert not TaskRun.objects.exists()


@pytest.mark.parametrize("topic", [("blog.post-1", ""), ("", "Clocks"), ("x" * 101, "Clocks"), ("a\n", "Clocks")])
def test_a_topic_needs_a_key_and_a_name(author: User, reader: User, topic: tuple[str, str]) -> None:
    fields = {"kind": "comment", "title": "x", "url": "/", "topic": topic[0], "topic_title": topic[1]}
    with pytest.raises(TopicError):
        actions.request_notification(author, actor=reader, **fields)
    with pytest.raises(TopicError):
        notify(author, **fields)


def test_the_task_writes_one_notification_however_often_it_runs(author: User) -> None:
    task_id = str(uuid.uuid4())
    arguments = {"recipient_id": author.pk, "kind": "comment", "title": "Hello\n\x00 you", "url": "/blog/x/"}
    notify_user.apply(kwargs=arguments, task_id=task_id)
    TaskRun.objects.all().delete()  # as if the first run had not got to its end
    notify_user.apply(kwargs=arguments, task_id=task_id)
    notification = Notification.objects.get()
    assert notification.title == "Hello you"
    assert str(notification.source_task_id) == task_id


def test_a_recipient_who_is_gone_is_no_error(transactional_db: None) -> None:
    result = notify_user.apply(kwargs={"recipient_id": 404, "kind": "comment", "title": "x", "url": "/"})
    assert result.successful()
    assert not Notification.objects.exists()


def test_it_knows_the_request_that_caused_it_and_is_in_the_ledger(author: User) -> None:
    with context.use(context.Context(request_id="req-12345678")):
        notification = notify(author, title="x" * 300)
    assert notification.request_id == "req-12345678"
    assert len(notification.title) == 200
    event = Event.objects.get(object_type="notifications.notification")
    assert (event.action, event.request_id) == ("notifications.notification.created", "req-12345678")


def test_reading_counts_down_once(author: User, reader: User) -> None:
    first, _, _ = notify(author), notify(author), notify(reader)
    assert queries.unread_count(author) == 2
    actions.mark_read(first, actor=author)
    first.refresh_from_db()
    read_at = first.read_at
    actions.mark_read(first, actor=author)
    first.refresh_from_db()
    assert first.read_at == read_at
    assert queries.unread_count(author) == 1
    assert actions.mark_all_read(author, actor=author) == 1
    assert actions.mark_all_read(author, actor=author) == 0
    assert queries.unread_count(reader) == 1


def test_another_person_cannot_mark_it(author: User, reader: User) -> None:
    notification = notify(author)
    actions.mark_read(notification, actor=reader)
    assert queries.unread_count(author) == 1


def test_unread_counting_is_one_small_query(author: User, django_assert_num_queries: Callable[..., object]) -> None:
    with django_assert_num_queries(1):  # type: ignore[attr-defined]
        queries.unread_count(author)
