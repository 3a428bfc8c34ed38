"""Which notifications someone has, and how they want to be told."""

from typing import TypeAlias

from django.contrib.auth.models import AnonymousUser
from django.db.models import QuerySet

import audit
from accounts.models import User
from notifications.kinds import KINDS, Channels, kind_named
from notifications.models import Notification, Preference

Reader: TypeAlias = User | AnonymousUser


def notifications_of(user: Reader) -> QuerySet[Notification]:
    """Return what `user` is told on pages, what came last first; one stands for all that are grouped with it."""
    if not user.is_authenticated:
        return Notification.objects.none()
    return Notification.objects.filter(recipient=user, leader__isnull=True, is_on_page=True)


def unread_of(user: Reader) -> QuerySet[Notification]:
    """Return those of them that `user` hasn't read."""
    return notifications_of(user).filter(read_at__isnull=True)


def notification_of(user: Reader, notification_id: int) -> Notification | None:
    """Return one of `user`'s notifications, else None; that someone asked for another's goes into the ledger."""
    notification = Notification.objects.filter(pk=notification_id).select_related("recipient").first()
    if notification is None or notification.recipient_id == user.pk:
        return notification
    audit.record("notifications.notification.read", target=notification, outcome="denied")
    return None


def unread_count(user: Reader) -> int:
    """Return how many notifications `user` hasn't read; a group is one."""
    return unread_of(user).count()


def lock_person(user_id: int) -> User | None:
    """Lock a person for the transaction: their notifications, marks and mails come one after the other.

    So what is grouped and counted is exact, and nobody waits crosswise.
    """
    return User.objects.select_for_update(no_key=True).filter(pk=user_id).first()


def channels_of(user: User) -> dict[str, Channels]:
    """Return how `user` is told, for each kind: as chosen, else the kind's defaults."""
    chosen = {preference.kind: preference.channels for preference in Preference.objects.filter(user=user)}
    return {kind.name: chosen.get(kind.name, kind.defaults) for kind in KINDS.values()}


def channels_for(user: User, kind: str) -> Channels:
    """Return how `user` is told of one kind; raises UnknownKindError."""
    defaults = kind_named(kind).defaults
    preference = Preference.objects.filter(user=user, kind=kind).first()
    return preference.channels if preference else defaults
