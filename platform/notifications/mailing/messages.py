"""What a mail says: notifications grouped by topic, as text and as HTML."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlsplit

from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.template.loader import render_to_string
from django.urls import reverse

from notifications.kinds import headline
from notifications.mailing.unsubscribing import token_for
from notifications.models import Mail, MailKind, Notification

MOST_LINES = 50
_MOST_CHARACTERS_OF_SUBJECT = 150

_SPANS = {MailKind.SOON: "", MailKind.DAILY: "Your day: ", MailKind.WEEKLY: "Your week: "}
MAILS_NAMES = {
    MailKind.SOON: "notification e-mails",
    MailKind.DAILY: "daily digests",
    MailKind.WEEKLY: "weekly digests",
}


@dataclass(slots=True)
class Line:
    """One notification, or the several of a kind on a topic that this mail tells."""

    kind: str
    title: str
    body: str
    url: str
    latest_at: datetime
    topic_title: str = ""
    count: int = 1

    @property
    def headline(self) -> str:
        """What it says in one line."""
        return self.title if self.count == 1 else headline(self.kind, self.count, self.topic_title)


def grouped(notifications: Iterable[Notification]) -> list[Line]:
    """Return a line for each notification, or for those that one stands for; in the order of their first."""
    lines: dict[int, Line] = {}
    for one in notifications:
        line = lines.get(one.leader_id or one.pk)
        if line is None:
            lines[one.leader_id or one.pk] = Line(
                kind=one.kind,
                title=one.title,
                body=one.body,
                url=_absolute(one.url) if one.url else "",
                latest_at=one.created_at,
                topic_title=one.topic_title,
            )
        else:
            line.count += 1
            line.body = ""
            line.latest_at = one.created_at
    return list(lines.values())


def message_of(mail: Mail, notifications: Iterable[Notification]) -> EmailMultiAlternatives:
    """Return the message of a mail; the same mail always has the same Message-ID."""
    lines = grouped(notifications)
    unsubscribe_url = (
        _absolute(reverse("notifications:unsubscribe")) + "?token=" + token_for(mail.recipient_id, mail.kind)
    )
    words = {
        "mail": mail,
        "person": mail.recipient,
        "lines": lines[:MOST_LINES],
        "more": max(0, len(lines) - MOST_LINES),
        "mails_name": MAILS_NAMES[MailKind(mail.kind)],
        "list_url": _absolute(reverse("notifications:list")),
        "preferences_url": _absolute(reverse("notifications:preferences")),
        "unsubscribe_url": unsubscribe_url,
    }
    message = EmailMultiAlternatives(
        subject=_subject(MailKind(mail.kind), lines),
        body=render_to_string("notifications/mail.txt", words),
        to=[mail.recipient.email],
        headers={
            "Message-ID": f"<{mail.pk}@{urlsplit(settings.PUBLIC_URL).hostname}>",
            "List-Unsubscribe": f"<{unsubscribe_url}>",
            "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
            "Auto-Submitted": "auto-generated",
            "X-Request-ID": mail.request_id,
        },
    )
    message.attach_alternative(render_to_string("notifications/mail.html", words), "text/html")
    return message


def _subject(kind: MailKind, lines: list[Line]) -> str:
    words = _SPANS[kind] + (lines[0].headline if len(lines) == 1 else f"{len(lines)} notifications")
    return words if len(words) <= _MOST_CHARACTERS_OF_SUBJECT else words[: _MOST_CHARACTERS_OF_SUBJECT - 1] + "…"


def _absolute(path: str) -> str:
    return settings.PUBLIC_URL.rstrip("/") + path
