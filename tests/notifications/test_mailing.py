"""Mails: after a while, of what is unread still, once."""

import re
import smtplib
import socket
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from celery import current_app
from django.core import mail as outbox
from django.core.mail import EmailMultiAlternatives
from django.core.mail.backends.locmem import EmailBackend
from django.db import OperationalError, connections
from django.db.models.functions import Now

from accounts.models import User
from audit.models import Event
from notifications import actions, metrics, tasks
from notifications.delivery.actions import MAIL_GRACE, create_notification
from notifications.errors import MailServerError
from notifications.kinds import Channels
from notifications.mailing import actions as mailing
from notifications.models import Mail, MailKind, MailState, Notification
from tasks.models import State, TaskRun
from telemetry import context

pytestmark = pytest.mark.django_db(transaction=True)

CLOCKS = {"topic": "blog.post-1", "topic_title": "“Clocks”"}
CANARY = "canary-password-of-the-mail-server"


@pytest.fixture
def author(author: User) -> User:
    author.email = "author@example.com"
    author.save()
    return author


def notify(user: User, title: str = "Rob commented", **fields: str) -> Notification:
    wanted = {"kind": "comment", "title": title, "url": "/blog/comments/1/", **fields}
    notification = create_notification(user, **wanted)
    assert notification is not None
    return notification


def let_time_pass() -> None:
    """All that waits for its grace to end is due, and the last mails were long ago."""
    Notification.objects.filter(email_due_at__isnull=False).update(email_due_at=Now())
    Mail.objects.update(created_at=Now() - timedelta(days=8))


def send_all(kind: MailKind = MailKind.SOON) -> list[EmailMultiAlternatives]:
    """Prepare and send the mails of a kind, as beat and the worker would; return those that went out."""
    before = len(outbox.outbox)
    prepared: list[uuid.UUID] = []
    mailing.prepare_mails(kind, prepared.append)
    for mail_id in prepared:
        mailing.send_mail(mail_id)
    return outbox.outbox[before:]  # type: ignore[return-value]


def counted(metric: Any, **labels: str) -> Callable[[], float]:
    """Return a function that tells how much a counter grew."""

    def value() -> float:
        return float(metric.labels(**labels).value)

    before = value()
    return lambda: value() - before


def test_nothing_is_mailed_within_the_grace_and_then_it_is(author: User) -> None:
    notify(author)
    assert timedelta(minutes=2) <= MAIL_GRACE <= timedelta(minutes=5)
    assert send_all() == []
    let_time_pass()
    (message,) = send_all()
    assert (message.to, message.subject) == (["author@example.com"], "Rob commented")
    assert "http://127.0.0.1:8000/blog/comments/1/" in message.body
    assert send_all() == []


def test_what_was_read_meanwhile_is_left_out(author: User) -> None:
    kept, read = notify(author, "Kept"), notify(author, "Was seen")
    actions.mark_read(read, actor=author)
    let_time_pass()
    (message,) = send_all()
    assert "Kept" in message.body
    assert "Was seen" not in message.body
    assert Notification.objects.get(mail__isnull=False) == kept


def test_what_is_read_between_preparing_and_sending_is_left_out_and_an_empty_mail_never_goes(author: User) -> None:
    notification = notify(author)
    let_time_pass()
    prepared: list[uuid.UUID] = []
    mailing.prepare_mails(MailKind.SOON, prepared.append)
    actions.mark_read(notification, actor=author)
    assert mailing.send_mail(prepared[0]) == MailState.LEFT_OUT
    assert outbox.outbox == []
    notify(author, "Another")  # a mail that never went out doesn't count as one
    let_time_pass()
    assert len(send_all()) == 1


def test_all_that_is_unread_is_one_mail_with_a_line_for_each_topic(author: User) -> None:
    for number in range(3):
        notify(author, f"Comment {number}", url=f"/blog/comments/{number}/", **CLOCKS)
    notify(author, "Mona mentioned <b>you</b>", kind="mention", body="Look, <i>here</i>")
    let_time_pass()
    (message,) = send_all()
    assert message.subject == "2 notifications"
    assert "* 3 comments on “Clocks”\n  http://127.0.0.1:8000/blog/comments/0/" in message.body
    assert "* Mona mentioned <b>you</b>\n  Look, <i>here</i>\n" in message.body
    html = message.alternatives[0][0]
    assert "3 comments on “Clocks”" in html
    assert "Mona mentioned &lt;b&gt;you&lt;/b&gt;" in html
    assert "<script" not in html


def test_what_joins_a_group_later_is_told_by_the_next_mail_alone(author: User) -> None:
    notify(author, "First", **CLOCKS)
    let_time_pass()
    send_all()
    notify(author, "Second", **CLOCKS)
    notify(author, "Third", **CLOCKS)
    let_time_pass()
    (message,) = send_all()
    assert message.subject == "2 comments on “Clocks”"


def test_a_person_gets_no_two_mails_within_ten_minutes(author: User) -> None:
    notify(author, "First")
    let_time_pass()
    assert len(send_all()) == 1
    for title in ("Second", "Third"):
        notify(author, title)
    Notification.objects.filter(email_due_at__isnull=False).update(email_due_at=Now())
    assert send_all() == []
    let_time_pass()
    (message,) = send_all()
    assert message.subject == "2 notifications"


def test_the_message_says_who_it_is_for_how_to_end_it_and_which_request_made_it(author: User) -> None:
    notify(author)
    let_time_pass()
    with context.use(context.Context(request_id="req-of-the-mail")):
        (message,) = send_all()
    mail = Mail.objects.get()
    headers = message.message()
    assert headers["Message-ID"] == f"<{mail.pk}@127.0.0.1>"
    assert headers["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert headers["X-Request-ID"] == "req-of-the-mail"
    link = re.fullmatch(
        r"<(http://127\.0\.0\.1:8000/notifications/unsubscribe/\?token=[\w:-]+)>", headers["List-Unsubscribe"]
    )
    assert link is not None
    html = message.alternatives[0][0]
    for text in (message.body, html):
        assert link[1] in text
        assert "/notifications/preferences/" in text
        assert "req-of-the-mail" in text
    event = Event.objects.get(action="notifications.mail.created")
    assert event.request_id == "req-of-the-mail"


@pytest.mark.parametrize("title", ["Hello\r\nBcc: all@example.com", "x" * 5_000])
def test_what_people_write_adds_no_header(author: User, title: str) -> None:
    notify(author, title)
    let_time_pass()
    (message,) = send_all()
    assert "Bcc" not in message.message()
    assert len(message.subject) <= 150


def test_a_task_that_runs_twice_sends_once(author: User) -> None:
    notify(author)
    let_time_pass()
    prepared: list[uuid.UUID] = []
    for _ in range(2):
        mailing.prepare_mails(MailKind.SOON, prepared.append)
    assert len(prepared) == 1
    states = [mailing.send_mail(prepared[0]) for _ in range(2)]
    assert (states, len(outbox.outbox)) == ([MailState.SENT, MailState.SENT], 1)


def test_many_workers_at_once_send_once(author: User) -> None:
    notify(author)
    let_time_pass()
    prepared: list[uuid.UUID] = []

    def work(step: Callable[[], object]) -> None:
        try:
            step()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(work, [lambda: mailing.prepare_mails(MailKind.SOON, prepared.append)] * 4))
        list(threads.map(work, [lambda: mailing.send_mail(prepared[0])] * 4))
    assert len(prepared) == Mail.objects.count() == len(outbox.outbox) == 1


def test_a_worker_that_dies_after_the_server_took_a_mail_repeats_it_under_the_same_id(
    author: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    notify(author)
    let_time_pass()
    prepared: list[uuid.UUID] = []
    mailing.prepare_mails(MailKind.SOON, prepared.append)

    def die(*args: Any, **kwargs: Any) -> None:
        raise OperationalError("the connection is gone")

    with monkeypatch.context() as patched:
        patched.setattr(mailing, "_count", die)
        patched.setattr(mailing.transaction, "on_commit", die)
        with pytest.raises(OperationalError):
            mailing.send_mail(prepared[0])
    assert Mail.objects.get().state == MailState.PENDING
    assert mailing.send_mail(prepared[0]) == MailState.SENT
    first, second = (message.message()["Message-ID"] for message in outbox.outbox)
    assert first == second == f"<{prepared[0]}@127.0.0.1>"


def test_a_preparation_that_fails_claims_nothing(author: User) -> None:
    notify(author)
    let_time_pass()

    def refuse(mail_id: uuid.UUID) -> None:
        raise OperationalError("no task could be written")

    with pytest.raises(OperationalError):
        mailing.prepare_mails(MailKind.SOON, refuse)
    assert not Mail.objects.exists()
    assert len(send_all()) == 1


def test_a_server_that_is_down_is_tried_again_and_its_password_told_to_nobody(
    author: User, settings: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        settings.EMAIL_PORT = probe.getsockname()[1]
    settings.EMAIL_HOST, settings.EMAIL_HOST_USER, settings.EMAIL_USE_TLS = "127.0.0.1", "glasshouse", False
    settings.EMAIL_HOST_PASSWORD = CANARY
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    notify(author)
    let_time_pass()
    prepared: list[uuid.UUID] = []
    mailing.prepare_mails(MailKind.SOON, prepared.append)
    failures = counted(metrics.MAIL_FAILURES, reason="server")
    with pytest.raises(MailServerError) as caught:
        mailing.send_mail(prepared[0])
    assert str(caught.value).startswith("The mail server didn't take a mail. ConnectionRefusedError")
    assert failures() == 1
    tasks.send_mail.apply(args=[str(prepared[0])], throw=False)
    out, err = capfd.readouterr()
    told = out + err + "".join(TaskRun.objects.values_list("error", flat=True))
    assert CANARY not in told
    assert Mail.objects.get().state == MailState.PENDING
    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
    assert mailing.send_mail(prepared[0]) == MailState.SENT


@pytest.mark.parametrize(("code", "state"), [(550, MailState.FAILED), (451, MailState.PENDING)])
def test_an_address_refused_for_good_is_given_up_and_one_refused_for_now_is_not(
    author: User, monkeypatch: pytest.MonkeyPatch, code: int, state: MailState
) -> None:
    def refuse(self: EmailBackend, messages: Any) -> int:
        raise smtplib.SMTPRecipientsRefused({"author@example.com": (code, b"no such author@example.com")})

    monkeypatch.setattr(EmailBackend, "send_messages", refuse)
    notify(author)
    let_time_pass()
    prepared: list[uuid.UUID] = []
    mailing.prepare_mails(MailKind.SOON, prepared.append)
    if state == MailState.FAILED:
        mailing.send_mail(prepared[0])
    else:
        with pytest.raises(MailServerError) as caught:
            mailing.send_mail(prepared[0])
        assert "author@example.com" not in str(caught.value)
    assert Mail.objects.get().state == state


def test_nobody_is_mailed_who_has_no_address_is_gone_or_wants_none(author: User, reader: User) -> None:
    notify(reader)  # has no address
    notify(author)
    actions.choose_channels(author, {"comment": Channels(email=False)}, actor=author)
    let_time_pass()
    unwanted = counted(metrics.LEFT_OUT, reason="unwanted")
    assert send_all() == []
    assert unwanted() == 1
    notify(author, kind="mention")
    User.objects.filter(pk=author.pk).update(is_active=False)
    let_time_pass()
    assert send_all() == []
    assert not Notification.objects.filter(email_due_at__isnull=False).exists()


def test_mails_sent_and_left_out_are_counted(author: User) -> None:
    sent, left_out = counted(metrics.MAILS_SENT, kind="soon"), counted(metrics.LEFT_OUT, reason="read")
    notify(author, "Kept")
    actions.mark_read(notify(author, "Read"), actor=author)
    let_time_pass()
    send_all()
    assert (sent(), left_out()) == (1, 1)


def test_a_digest_tells_what_was_neither_read_nor_mailed(author: User) -> None:
    wanted = {kind: Channels(digest="daily") for kind in ("comment", "reply")}
    actions.choose_channels(author, {**wanted, "mention": Channels(email=True, digest="daily")}, actor=author)
    for number in range(2):
        notify(author, f"Told {number}", **CLOCKS)
    actions.mark_read(notify(author, "Was read", kind="reply"), actor=author)
    notify(author, "Was mailed", kind="mention")
    let_time_pass()
    assert [message.subject for message in send_all()] == ["Was mailed"]
    assert send_all(MailKind.WEEKLY) == []
    (message,) = send_all(MailKind.DAILY)
    assert message.subject == "Your day: 2 comments on “Clocks”"
    assert "Was" not in message.body
    assert "daily digests" in message.body
    let_time_pass()
    assert send_all(MailKind.DAILY) == []


def test_mails_at_once_that_are_not_wanted_any_more_may_be_in_the_digest_still(author: User) -> None:
    actions.choose_channels(author, {"comment": Channels(email=True, digest="weekly")}, actor=author)
    notify(author)
    actions.choose_channels(author, {"comment": Channels(email=False, digest="weekly")}, actor=author)
    let_time_pass()
    assert send_all() == []
    assert [message.subject for message in send_all(MailKind.WEEKLY)] == ["Your week: Rob commented"]


def test_a_second_digest_of_the_day_waits_for_the_next(author: User) -> None:
    actions.choose_channels(author, {"comment": Channels(digest="daily")}, actor=author)
    notify(author)
    assert len(send_all(MailKind.DAILY)) == 1
    notify(author)
    assert send_all(MailKind.DAILY) == []
    let_time_pass()
    assert len(send_all(MailKind.DAILY)) == 1


def test_the_tasks_hand_over_to_the_queue_of_mails(author: User, monkeypatch: pytest.MonkeyPatch) -> None:
    actions.choose_channels(author, {"comment": Channels(email=True), "reply": Channels(digest="daily")}, actor=author)
    notify(author)
    notify(author, kind="reply")
    let_time_pass()
    assert tasks.prepare_mails.apply().get() == 1
    monkeypatch.setattr(mailing, "MOST_PEOPLE", 1)
    assert tasks.prepare_digests.apply(args=["daily"]).get() == 1
    runs = TaskRun.objects.filter(queue="mail", state=State.QUEUED).order_by("enqueued_at")
    # The digests go on in another run, since there may be more.
    assert [run.name.removeprefix("notifications.") for run in runs] == ["send_mail", "send_mail", "prepare_digests"]
    for mail in Mail.objects.all():
        tasks.send_mail.apply(args=[str(mail.pk)])
    assert len(outbox.outbox) == 2


def test_what_beat_sends_is_known_and_goes_to_queues_that_exist() -> None:
    current_app.loader.import_default_modules()
    for entry in current_app.conf.beat_schedule.values():
        assert entry["task"] in current_app.tasks
        assert entry["options"].get("queue", "default") in current_app.conf.task_queues


def test_settling_a_group_takes_few_queries_however_large(author: User, django_assert_max_num_queries: Any) -> None:
    for number in range(10):
        notify(author, f"Comment {number}", **CLOCKS)
    let_time_pass()
    with django_assert_max_num_queries(20):
        send_all()
