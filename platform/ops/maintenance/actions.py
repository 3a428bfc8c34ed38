"""Switching maintenance on and off. The ledger has each switch, with whoever did it and why."""

from datetime import datetime, timedelta

from django.db import transaction
from django.utils import timezone

from accounts.models import User
from ops.maintenance import queries
from ops.maintenance.errors import MaintenanceError
from ops.maintenance.queries import Window
from ops.models import LONGEST_MESSAGE, Maintenance

LONGEST = timedelta(days=30)


@transaction.atomic
def begin_maintenance(*, actor: User | None, message: str = "", ends_at: datetime | None = None) -> Window:
    """Close the platform for all but staff, or change the message and end of what is on already.

    Args:
        actor: None where no person acts, as in a command.
        message: for whoever is turned away.
        ends_at: it ends then by itself; None leaves it to `end_maintenance`.

    Raises:
        MaintenanceError: the message is too long or can't be shown, or the end isn't within the next 30 days.
    """
    now = timezone.now()
    message = " ".join(message.split())
    if len(message) > LONGEST_MESSAGE or not message.isprintable():
        raise MaintenanceError(f"A message has at most {LONGEST_MESSAGE} characters, all of them printable.")
    if ends_at is not None and not now < ends_at <= now + LONGEST:
        raise MaintenanceError(f"Maintenance ends within the next {LONGEST.days} days, and not in the past.")
    running = queries.read()
    row = Maintenance(is_on=True, message=message, begun_at=running.begun_at if running else now, ends_at=ends_at)
    Maintenance.objects.bulk_create(
        [row],
        update_conflicts=True,
        unique_fields=["id"],
        update_fields=["is_on", "message", "begun_at", "ends_at"],
    )
    transaction.on_commit(queries.forget)
    return Window(row.message, row.begun_at, row.ends_at)


@transaction.atomic
def end_maintenance(*, actor: User | None) -> bool:
    """Open the platform again; False where it was open."""
    was_on = queries.read() is not None
    Maintenance.objects.filter(is_on=True).update(is_on=False)
    transaction.on_commit(queries.forget)
    return was_on
