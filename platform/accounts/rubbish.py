"""What `manage cleanup` may remove of accounts."""

from datetime import timedelta

from django.contrib.sessions.models import Session
from django.db.models import QuerySet
from django.utils import timezone


def expired_sessions(age: timedelta | None) -> QuerySet[Session]:
    """Sessions that have expired."""
    return Session.objects.filter(expire_date__lt=timezone.now() - (age or timedelta()))


KINDS = {"sessions": expired_sessions}
