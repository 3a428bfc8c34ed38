"""What `manage cleanup` may remove of the chat: the beginnings of logs, which nobody catches up on any more."""

from datetime import timedelta

from django.db.models import F, QuerySet
from django.utils import timezone

from chat.models import ReadMark, RoomEvent

KEPT = timedelta(days=30)


def chat_events(age: timedelta | None) -> QuerySet[RoomEvent]:
    """Numbered changes of rooms of 30 days ago; whoever was away for so long fetches the room anew."""
    # Never the last one, so that a room's log isn't taken for one that never was.
    return RoomEvent.objects.filter(
        created_at__lt=timezone.now() - (age or KEPT), sequence__lt=F("room__last_sequence")
    )


def chat_read_marks(age: timedelta | None) -> QuerySet[ReadMark]:
    """Read marks of people who belong to the room no more and haven't read there for a year."""
    old = ReadMark.objects.filter(read_at__lt=timezone.now() - (age or timedelta(days=365)))
    return old.exclude(room__members__user=F("user"))


KINDS = {"chat-events": chat_events, "chat-read-marks": chat_read_marks}
