"""Asking for an export that is made in the background."""

from collections.abc import Collection, Mapping
from datetime import timedelta
from functools import partial
from typing import Any

from django.contrib.auth import get_user_model
from django.db import transaction
from django.utils import timezone

from audit import conf
from audit.errors import ExportDeniedError, ExportsUnavailableError, SearchTooLongError, TooManyExportsError
from audit.exports import files, streaming
from audit.exports.formats.known import format_named
from audit.models import Export
from audit.reading import cursors, filters, queries
from audit.reading.access import access_of
from audit.reading.cursors import Cursor
from audit.recording import record

MOST_UNFINISHED = 5


def request_export(owner: Any, scopes: Collection[str] | None, form: str, asked: Mapping[str, Any]) -> Export:
    """Have an export made in the background, of what is committed now, and return it.

    Args:
        owner: who asks, and alone may fetch it.
        scopes: of the token by which they ask; None where there's none.
        form: the name of a format.
        asked: the filters of the search.

    Raises:
        FilterError: a filter or the format is wrong.
        ExportDeniedError: `owner` may not export.
        TooManyExportsError: they have too many that aren't finished.
        ExportsUnavailableError: the project has no place for the files, or no Celery.
    """
    if not streaming.may_export(owner, scopes):
        raise ExportDeniedError
    search = filters.parse(asked, access_of(owner, scopes))
    format_named(form)
    files.storage()
    enqueue = _enqueuer()
    estimate, cursor = _estimate(search), cursors.begun(Cursor("oldest"))
    with transaction.atomic():
        # One request of a person at a time, so that two can't both be the last one allowed.
        get_user_model()._base_manager.select_for_update(no_key=True).get(pk=owner.pk)
        if files.exports_of(owner).filter(state__in=files.UNFINISHED).count() >= MOST_UNFINISHED:
            raise TooManyExportsError
        export = Export.objects.create(
            owner=owner,
            scopes=None if scopes is None else list(scopes),
            format=form,
            filters=dict(search.given),
            estimated_count=estimate,
            cursor=str(cursor),
            expires_at=timezone.now() + timedelta(hours=conf.export_hours()),
        )
        record("audit.ledger.export_requested", target=export, changes=files.about(export))
        transaction.on_commit(partial(enqueue, str(export.pk)))
    return export


def _enqueuer() -> Any:
    """Celery's task, looked for when it's needed: the rest of the ledger does without."""
    try:
        from audit.tasks import run_export
    except ImportError as error:
        raise ExportsUnavailableError from error
    return run_export.delay


def _estimate(search: filters.Search) -> int:
    try:
        return queries.total(search).count
    except SearchTooLongError:  # an export has more time than a count is worth
        return 0
