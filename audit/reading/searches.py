"""Searches that people keep under a name."""

from typing import Any
from urllib.parse import parse_qsl, urlencode

from audit.errors import AuditError
from audit.models import SavedSearch
from audit.reading import filters
from audit.reading.access import Access

_MOST = 50
_LONGEST_NAME = 100


class SavedSearchError(AuditError):
    """This search can't be saved."""


def save_search(owner: Any, name: str, query: str, access: Access) -> SavedSearch:
    """Keep a search under a name, in place of one that has it already.

    Raises:
        SavedSearchError: the name is empty or too long, or there are too many.
        FilterError: the query is no search of the ledger.
    """
    name = " ".join(name.split())
    if not name or len(name) > _LONGEST_NAME:
        raise SavedSearchError(f"A saved search needs a name of at most {_LONGEST_NAME} characters.")
    others = SavedSearch.objects.filter(owner=owner)
    if others.count() >= _MOST and not others.filter(name=name).exists():
        raise SavedSearchError(f"You have {_MOST} saved searches already. Delete one first.")
    asked = filters.parse(dict(parse_qsl(query)), access).given
    saved, _ = SavedSearch.objects.update_or_create(owner=owner, name=name, defaults={"query": urlencode(asked)})
    return saved


def delete_search(owner: Any, search_id: int) -> None:
    """Delete one of `owner`'s saved searches; nothing happens where they have no such."""
    SavedSearch.objects.filter(owner=owner, pk=search_id).delete()
