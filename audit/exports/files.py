"""Exports that take long: asked for, made in the background, fetched, and gone after a day.

The file is written beside the storage first, since a storage can't rename: what is in the storage is whole. Each
attempt writes a file of its own name, which it notes in the row: the newest attempt's counts, and an older one that
still runs finds its name gone and stops.
"""

import gzip
import hashlib
import secrets
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from typing import IO, Any
from uuid import UUID

from django.core.files import File
from django.core.files.storage import InvalidStorageError, Storage, storages
from django.db import connection, transaction
from django.db.models import QuerySet
from django.utils import timezone

from audit import conf
from audit.errors import (
    AuditError,
    ExportDeniedError,
    ExportError,
    ExportsUnavailableError,
)
from audit.exports import streaming
from audit.exports.formats.known import FORMATS, Format, format_named
from audit.models import Export
from audit.reading import cursors, filters
from audit.reading.access import Access, access_of
from audit.recording import record
from telemetry.logs import get_logger

log = get_logger("audit")

STORAGE = "audit"
# A worker gives up sooner (see audit.tasks), so whatever still counts as running after that was lost with its worker.
LONGEST_RUN = timedelta(hours=1)
UNFINISHED = (Export.State.WAITING, Export.State.RUNNING)
_SAVED_EVERY = 10_000


class _SupersededError(Exception):
    """Another attempt makes this export now, or it was given up."""


def exports_of(owner: Any) -> QuerySet[Export]:
    """Return the exports of one person, newest first."""
    return Export.objects.filter(owner=owner)


def run(export_id: str) -> None:
    """Make the file of an export; nothing happens where it's finished already, or given up.

    What it shows is decided now, by its owner's present permissions within the scopes of their token. An attempt after
    one that broke off begins anew, at the same snapshot.

    Raises:
        ExportDeniedError: the owner may not export any more.
        ExportError: there are more events than an export may have.
        Exception: whatever kept it from being made. In each case it's marked as failed.
    """
    export = _claim(UUID(export_id))
    if export is None:
        return
    try:
        access = _present_access(export)
        record("audit.ledger.export_started", target=export, changes=about(export))
        with tempfile.TemporaryFile(prefix="audit-export-") as spool:
            written = _write(export, access, spool)
            spool.seek(0)
            _note(export, file_name=storage().save(export.file_name, File(spool)))  # it may have chosen another
        _finish(export, written)
    except _SupersededError:
        storage().delete(export.file_name)
        log.info("audit.export_superseded", export=export_id)
    except Exception as error:
        _fail(export, error)
        raise


def open_file(export: Export, access: Access) -> IO[bytes]:
    """Return the file of a finished export, open; that it's fetched is recorded first.

    Raises:
        ExportDeniedError: it shows more than its reader may see now.
        FileNotFoundError: it isn't finished, or has expired.
    """
    if export.state != Export.State.FINISHED:
        raise FileNotFoundError(export.pk)
    if not _is_within(export.shows, access):
        record("audit.ledger.export_denied", target=export, outcome="denied")
        raise ExportDeniedError
    opened: IO[bytes] = storage().open(export.file_name)
    try:
        record("audit.ledger.export_downloaded", target=export, changes={"sha256": export.sha256_hex})
    except BaseException:
        opened.close()
        raise
    return opened


def name_of(export: Export) -> str:
    """Return what the file is called by who fetches it."""
    return f"audit-{export.created_at:%Y%m%dT%H%M%SZ}.{FORMATS[export.format].suffix}.gz"


def overdue_exports(age: timedelta = timedelta()) -> QuerySet[Export]:
    """Return the exports that are past their time, for so long at least, and not ended yet."""
    return Export.objects.filter(
        expires_at__lt=timezone.now() - age, state__in=(*UNFINISHED, Export.State.FINISHED)
    ).order_by("expires_at")


def expire(age: timedelta = timedelta()) -> int:
    """Delete the files that are past their time, give up exports that were never finished, and return how many."""
    due = overdue_exports(age)
    done = 0
    for export_id in list(due.values_list("pk", flat=True)):
        try:
            with transaction.atomic():
                export = due.select_for_update(skip_locked=True).filter(pk=export_id).first()
                if export is not None:
                    _end(export)
                    done += 1
        except OSError as error:  # its file can't be deleted now; the others can
            log.error("audit.export_not_deleted", export=str(export_id), error=type(error).__name__)
    return done


def _end(export: Export) -> None:
    if export.file_name:
        storage().delete(export.file_name)  # first: once the row says so, nobody looks for it any more
    if export.state == Export.State.FINISHED:
        Export.objects.filter(pk=export.pk).update(state=Export.State.EXPIRED)
        record("audit.ledger.export_expired", target=export, changes=about(export))
    else:
        _mark_failed(export, "It was not finished in time: its worker was lost, or none ran.")


def storage() -> Storage:
    """Return where the files are kept.

    Raises:
        ExportsUnavailableError: the project names no such place.
    """
    try:
        return storages[STORAGE]
    except InvalidStorageError as error:
        raise ExportsUnavailableError from error


# --- making the file -----------------------------------------------------------------------------------------------


@dataclass
class _Written:
    """A file being written: its digest and size as far as it goes."""

    file: IO[bytes]
    size_bytes: int = 0
    digest: Any = field(default_factory=hashlib.sha256)

    def write(self, data: bytes) -> int:
        self.digest.update(data)
        self.size_bytes += len(data)
        return self.file.write(data)

    def flush(self) -> None:
        self.file.flush()


def _claim(export_id: UUID) -> Export | None:
    """Make an export this attempt's, and remove what an earlier one may have left."""
    with transaction.atomic():
        export = Export.objects.select_for_update().filter(pk=export_id, state__in=UNFINISHED).first()
        if export is None:
            return None
        if export.file_name:
            storage().delete(export.file_name)
        export.state = Export.State.RUNNING
        export.file_name = f"{export.pk}-{secrets.token_hex(4)}.{FORMATS[export.format].suffix}.gz"
        export.event_count = 0
        export.expires_at = timezone.now() + LONGEST_RUN
        export.save()
    return export


def _present_access(export: Export) -> Access:
    """Return what the file may show, and note it."""
    if not streaming.may_export(export.owner, export.scopes):
        raise ExportDeniedError
    access = access_of(export.owner, export.scopes)
    types = access.object_types
    _note(export, shows={**asdict(access), "object_types": None if types is None else sorted(types)})
    return access


def _is_within(shows: Mapping[str, Any], access: Access) -> bool:
    types = shows["object_types"]
    return (
        (access.object_types is None or (types is not None and access.object_types.issuperset(types)))
        and (access.sees_personal or not shows["sees_personal"])
        and (access.sees_masked or not shows["sees_masked"])
    )


def _write(export: Export, access: Access, spool: IO[bytes]) -> _Written:
    form: Format = format_named(export.format)
    search = filters.parse(export.filters, access)
    cursor = cursors.parse(export.cursor)
    most = conf.export_max_events()
    written = _Written(spool)
    count = saved = 0
    # Neither name nor time in the file: two exports of the same are the same.
    with gzip.GzipFile("", "wb", compresslevel=6, fileobj=written, mtime=0) as packed:
        packed.write(form.header())
        for chunk in streaming.read(search, cursor, form, access, seconds=conf.long_export_page_seconds()):
            packed.write(chunk.data)
            count += chunk.count
            if count > most:
                raise ExportError(f"There are more than {most:,} events. Export shorter times, one after another.")
            if count - saved >= _SAVED_EVERY:
                _note(export, event_count=count)
                saved = count
    _note(export, event_count=count)
    return written


def _note(export: Export, **changes: Any) -> None:
    """Save some fields of an export, as long as it's this attempt's."""
    is_ours = Export.objects.filter(pk=export.pk, state=Export.State.RUNNING, file_name=export.file_name)
    if not is_ours.update(**changes):
        raise _SupersededError
    for name, value in changes.items():
        setattr(export, name, value)


def _finish(export: Export, written: _Written) -> None:
    now = timezone.now()
    with transaction.atomic():
        _note(
            export,
            state=Export.State.FINISHED,
            size_bytes=written.size_bytes,
            sha256_hex=written.digest.hexdigest(),
            finished_at=now,
            expires_at=now + timedelta(hours=conf.export_hours()),
        )
        told = {"count": export.event_count, "complete": True, "sha256": export.sha256_hex}
        record("audit.ledger.exported", target=export, changes=about(export) | told)


def _fail(export: Export, error: Exception) -> None:
    """Note why there's no file. What the database or a library said may hold values, so it isn't repeated."""
    why = str(error) if isinstance(error, AuditError) else f"It broke off: {type(error).__name__}. Ask for it anew."
    if not connection.in_atomic_block:
        connection.close_if_unusable_or_obsolete()  # it may be the connection that failed
    if Export.objects.filter(pk=export.pk, state=Export.State.RUNNING, file_name=export.file_name).exists():
        _mark_failed(export, why, outcome="denied" if isinstance(error, ExportDeniedError) else "error")
    storage().delete(export.file_name)


def _mark_failed(export: Export, why: str, *, outcome: Any = "error") -> None:
    Export.objects.filter(pk=export.pk).update(
        state=Export.State.FAILED, error=why, finished_at=timezone.now(), file_name=""
    )
    told = {"count": export.event_count, "complete": False, "error": why}
    record("audit.ledger.exported", target=export, outcome=outcome, changes=about(export) | told)


def about(export: Export) -> dict[str, Any]:
    return {"filters": export.filters, "format": export.format}
