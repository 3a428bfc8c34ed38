"""The ledger's housekeeping for projects with Celery, which finds this module by itself; nothing else imports it."""

from celery import shared_task

from audit import partitions
from audit.errors import PartitionsError
from telemetry.logs import get_logger

log = get_logger("audit")


@shared_task(name="audit.ensure_partitions", ignore_result=True)  # type: ignore[untyped-decorator]
def ensure_partitions() -> int:
    """Make the partitions that are missing, and return how many were.

    It needs a connection as the ledger's owner (`AUDIT_OWNER_DATABASE`). A worker without one warns, and no write is
    harmed: let cron run `manage audit_partitions` as the owner instead.
    """
    try:
        return len(partitions.ensure())
    except PartitionsError as error:
        log.warning("audit.partitions_not_made", error=str(error))
        return 0
