"""What there is to clean up. Each app declares its own in a module `rubbish`, and needn't know who asks.

`rubbish.KINDS` has a function for each kind, by its name. It takes an age, or None for what the kind itself holds
right, and returns what is older: a query of rows, or pieces of anything else. Its docstring tells people what it is.
"""

from collections.abc import Callable, Iterable, Iterator
from datetime import timedelta
from functools import partial
from importlib import import_module
from itertools import islice
from typing import Any, NamedTuple, TypeAlias

from django.apps import apps
from django.db.models import QuerySet
from django.utils.module_loading import module_has_submodule

from audit.registry import tracking_of

_BATCH = 500


class Piece(NamedTuple):
    """Something to remove at once: an example of it, how, how many things it is, and their bytes as far as known.

    Apps below this one give plain tuples.
    """

    example: str
    remove: Callable[[], object]
    things: int = 1
    size_bytes: int = 0


Kind: TypeAlias = Callable[[timedelta | None], QuerySet[Any] | Iterable[tuple[Any, ...]]]


def known_kinds() -> dict[str, Kind]:
    """Return the kinds of all apps by their names."""
    found: dict[str, Kind] = {}
    for app in apps.get_app_configs():
        if app.module is not None and module_has_submodule(app.module, "rubbish"):
            found.update(import_module(f"{app.name}.rubbish").KINDS)
    return dict(sorted(found.items()))


def meaning_of(kind: Kind) -> str:
    """Return what a kind is, in words."""
    return (kind.__doc__ or "").partition("\n")[0]


def pieces_of(kind: Kind, age: timedelta | None) -> Iterator[Piece]:
    """Return what a kind finds, piece by piece; rows come in batches."""
    found = kind(age)
    if isinstance(found, QuerySet):
        yield from _batches(found)
    else:
        yield from (Piece(*piece) for piece in found)


def _batches(rows: QuerySet[Any]) -> Iterator[Piece]:
    # Named are those that the ledger names too: a session's name is its key.
    is_named = tracking_of(rows.model) is not None
    keys = rows.order_by("pk").values_list("pk", flat=True).iterator(chunk_size=_BATCH)
    while batch := list(islice(keys, _BATCH)):
        # With the query's conditions once more: a row may have changed since it was found.
        remove = rows.order_by().filter(pk__in=batch).delete
        example = f"{rows.model._meta.verbose_name} {batch[0]}" if is_named else ""
        yield Piece(example, partial(remove), len(batch))
