"""What the clean-up takes of notifications."""

from datetime import timedelta

import pytest
from django.utils import timezone

from accounts.models import User
from notifications import rubbish
from notifications.models import Mail, MailState, Notification

pytestmark = pytest.mark.django_db(transaction=True)


def test_what_was_read_long_ago_goes_and_what_is_unread_stays_however_old(author: User) -> None:
    now = timezone.now()
    long_ago = now - rubbish.KEPT - timedelta(days=1)
    old, new, _ = (
        Notification.objects.create(recipient=author, kind="comment", title="x", created_at=long_ago, read_at=read_at)
        for read_at in (long_ago, now, None)
    )
    assert list(rubbish.read_notifications(None)) == [old]
    assert set(rubbish.read_notifications(timedelta(microseconds=1))) == {old, new}


def test_mails_go_once_they_are_settled_and_their_notifications_stay(author: User) -> None:
    long_ago = timezone.now() - rubbish.MAILS_KEPT - timedelta(days=1)
    sent, _ = (
        Mail.objects.create(recipient=author, kind="soon", state=state, created_at=long_ago)
        for state in (MailState.SENT, MailState.PENDING)
    )
    notification = Notification.objects.create(recipient=author, kind="comment", title="x", mail=sent)
    assert list(rubbish.settled_mails(None)) == [sent]
    rubbish.settled_mails(None).delete()
    notification.refresh_from_db()
    assert notification.mail is None
