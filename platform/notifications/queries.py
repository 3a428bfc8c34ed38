"""Which notifications someone has."""

from typing import TypeAlias

from django.contrib.auth.models import AnonymousUser
from django.db.models import QuerySet

import audit
from accounts.models import User
from notifications.models import Notification

Reader: TypeAlias = User | AnonymousUser


def notifications_of(user: Reader) -> QuerySet[Notification]:
    """Return what `user` was told, newest first."""
    if not user.is_authenticated:
        return Notification.objects.none()
    return Notification.objects.filter(recipient=user)


def notification_of(user: Reader, notification_id: int) -> Notification | None:
    """Return one of `user`'s notifications, else None; that someone asked for another's goes into the ledger."""
    notification = notifications_of(user).filter(pk=notification_id).first()
    if notification is None and Notification.objects.filter(pk=notification_id).exists():
        target = (Notification._meta.label_lower, str(notification_id))
        audit.record("notifications.notification.read", target=target, outcome="denied")
    return notification


def unread_count(user: Reader) -> int:
    """Return how many notifications `user` hasn't read."""
    return notifications_of(user).filter(read_at__isnull=True).count()
