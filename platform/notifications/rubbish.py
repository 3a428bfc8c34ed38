"""What `manage cleanup` may remove of notifications: what was read long ago, and mails that are settled."""

from datetime import timedelta

from django.db.models import QuerySet
from django.utils import timezone

from notifications.models import Mail, MailState, Notification

KEPT = timedelta(days=90)
MAILS_KEPT = timedelta(days=180)


def read_notifications(age: timedelta | None) -> QuerySet[Notification]:
    """Notifications that were read 90 days ago."""
    return Notification.objects.filter(read_at__lt=timezone.now() - (age or KEPT))


def settled_mails(age: timedelta | None) -> QuerySet[Mail]:
    """Rows of mails that were sent or given up 180 days ago."""
    return Mail.objects.exclude(state=MailState.PENDING).filter(created_at__lt=timezone.now() - (age or MAILS_KEPT))


KINDS = {"read-notifications": read_notifications, "settled-mails": settled_mails}
