"""Which mails go out, and how: first a mail is a row that has its notifications, then it's sent.

The row and the claim on its notifications are one transaction under a lock on the person, so whatever runs twice
finds nothing left to claim. Sending holds a lock on the mail's row until it's marked as sent, so two workers can't
both send it. What remains is a worker that dies between the mail server's yes and the commit: that mail is sent again,
under the same Message-ID, by which servers and programs that read mail know it as the same. That is what at least
once means here; SMTP has no better.
"""

import smtplib
import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.db.models.functions import Now

from accounts.models import User
from notifications import metrics, queries
from notifications.errors import MailServerError
from notifications.mailing.messages import message_of
from notifications.models import Mail, MailKind, MailState, Notification
from telemetry import context
from telemetry.logs import get_logger

log = get_logger(__name__)

# A person gets no two mails of a kind within this time; what comes meanwhile is in the next.
SPACING = {
    MailKind.SOON: timedelta(minutes=10),
    MailKind.DAILY: timedelta(hours=20),
    MailKind.WEEKLY: timedelta(days=6),
}
MOST_PEOPLE = 500


def prepare_mails(kind: MailKind, send: Callable[[uuid.UUID], object], *, most_people: int = MOST_PEOPLE) -> int:
    """Prepare the mails of a kind that are due, one a person, and have each sent by `send`, called in its transaction.

    Returns for how many people there was something to settle; where that's `most_people`, there may be more.
    """
    recent = Mail.objects.filter(_is_recent(kind), recipient=OuterRef("recipient"))
    people = _waiting(kind).exclude(Exists(recent)).order_by("recipient").values_list("recipient", flat=True)
    found = list(people.distinct()[:most_people])
    for recipient_id in found:
        prepare_mail(recipient_id, kind, send)
    return len(found)


@transaction.atomic
def prepare_mail(recipient_id: int, kind: MailKind, send: Callable[[uuid.UUID], object]) -> Mail | None:
    """Claim for a mail what one person hasn't read; None where nothing is to be told, or a mail went out just now."""
    person = queries.lock_person(recipient_id)
    if person is None or person.mails.filter(_is_recent(kind)).exists():
        return None
    waiting = _waiting(kind).filter(recipient=person)
    _leave_out(waiting.filter(read_at__isnull=False), "read", email_due_at=None, digest="")
    wanted = _kinds_wanted(person, kind)
    # Mails at once that aren't wanted any more may still be wanted in a digest.
    settled: dict[str, Any] = {"email_due_at": None} if kind == MailKind.SOON else {"digest": ""}
    _leave_out(waiting.exclude(kind__in=wanted), "unwanted", **settled)
    ids = list(waiting.filter(kind__in=wanted).values_list("pk", flat=True))
    if not ids:
        return None
    mail = Mail.objects.create(recipient=person, kind=kind, request_id=context.current().request_id)
    Notification.objects.filter(pk__in=ids).update(mail=mail, email_due_at=None, digest="")
    send(mail.pk)
    return mail


@transaction.atomic
def send_mail(mail_id: uuid.UUID) -> MailState | None:
    """Send a mail, unless it was sent or all of it was read meanwhile; returns what became of it, None if it's gone.

    Raises MailServerError where the server didn't take it: try again later.
    """
    mail = Mail.objects.select_for_update(of=("self",)).select_related("recipient").filter(pk=mail_id).first()
    if mail is None or mail.state != MailState.PENDING:
        return MailState(mail.state) if mail else None
    kind, person = MailKind(mail.kind), mail.recipient
    told = mail.notifications.filter(kind__in=_kinds_wanted(person, kind))
    unread = list(told.filter(read_at__isnull=True).order_by("pk"))
    read_count = mail.notifications.filter(read_at__isnull=False).count()
    state = _hand_over(mail, unread) if unread else MailState.LEFT_OUT
    is_sent = state == MailState.SENT
    Mail.objects.filter(pk=mail.pk).update(state=state, sent_at=Now() if is_sent else None)
    transaction.on_commit(lambda: _count(mail, state, read_count=read_count))
    return state


def _hand_over(mail: Mail, unread: list[Notification]) -> MailState:
    try:
        message_of(mail, unread).send()
    except smtplib.SMTPRecipientsRefused as error:
        codes = [code for code, _ in error.recipients.values()]
        if all(code >= 500 for code in codes):
            metrics.MAIL_FAILURES.labels(reason="address").inc()
            log.warning("notifications.mail_refused", mail_id=str(mail.pk), codes=codes)
            return MailState.FAILED
        raise _server_error(error) from None
    except OSError as error:  # also what smtplib raises
        raise _server_error(error) from None
    return MailState.SENT


def _server_error(error: OSError) -> MailServerError:
    """Return what failed without the server's words, which may hold addresses or what was said to log in."""
    metrics.MAIL_FAILURES.labels(reason="server").inc()
    code = getattr(error, "smtp_code", None) or error.errno or ""
    return MailServerError(f"{MailServerError.__doc__} {type(error).__name__} {code}".strip())


def _count(mail: Mail, state: MailState, *, read_count: int) -> None:
    if state == MailState.SENT:
        metrics.MAILS_SENT.labels(kind=mail.kind).inc()
    if read_count:
        metrics.LEFT_OUT.labels(reason="read").inc(read_count)
    log.info("notifications.mail_settled", mail_id=str(mail.pk), kind=mail.kind, state=str(state))


def _waiting(kind: MailKind) -> QuerySet[Notification]:
    """Return what is to be in a mail of this kind by now, read or not."""
    if kind == MailKind.SOON:
        return Notification.objects.filter(email_due_at__lte=Now())
    return Notification.objects.filter(digest=kind, email_due_at__isnull=True)  # the rest has a mail of its own soon


def _is_recent(kind: MailKind) -> Q:
    return Q(kind=kind, created_at__gt=Now() - SPACING[kind]) & ~Q(state=MailState.LEFT_OUT)


def _leave_out(notifications: QuerySet[Notification], reason: str, **settled: Any) -> None:
    if count := notifications.update(**settled):
        transaction.on_commit(lambda: metrics.LEFT_OUT.labels(reason=reason).inc(count))


def _kinds_wanted(person: User, mails: MailKind) -> list[str]:
    if not person.is_active or not person.email:
        return []
    chosen = queries.channels_of(person).items()
    if mails == MailKind.SOON:
        return [kind for kind, channels in chosen if channels.email]
    return [kind for kind, channels in chosen if channels.digest == mails.value]
