"""The ledger's background work for projects with Celery, which finds this module by itself.

Nothing else imports it, but for `audit.exports.asking` where an export is asked for.
"""

from celery import shared_task

from audit import partitions
from audit.errors import PartitionsError
from audit.exports import files
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


# Longer than a project's usual limits, and shorter than an hour: by then Redis, as Celery uses it, takes a worker that
# hasn't answered for lost and hands its message to another one.
@shared_task(name="audit.run_export", soft_time_limit=50 * 60, time_limit=55 * 60, ignore_result=True)  # type: ignore[untyped-decorator]
def run_export(export_id: str) -> None:
    """Make the file of an export; where the worker is lost, the next one begins anew."""
    files.run(export_id)


@shared_task(name="audit.expire_exports", ignore_result=True)  # type: ignore[untyped-decorator]
def expire_exports() -> int:
    """Delete the files of exports that are past their time, and return how many exports ended."""
    return files.expire()
