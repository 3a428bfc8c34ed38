"""Which models the ledger captures, and which it need not, each with its reason.

Filled while models are imported, so it holds labels and classes but touches no database.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import TypeVar

from django.apps import apps
from django.db import models

from audit.errors import RegistrationError

M = TypeVar("M", bound=type[models.Model])


@dataclass(frozen=True, slots=True)
class Tracking:
    """How one model is captured: `mask` hides values behind a digest, `exclude` leaves columns out.

    `personal` values are recorded, and shown to those alone who hold `audit.view_personal`. `derived` has, by the name
    of a method of the model, the fields that it makes of the others.
    """

    label: str
    mask: frozenset[str] = frozenset()
    exclude: frozenset[str] = frozenset()
    personal: frozenset[str] = frozenset()
    derived: Mapping[str, frozenset[str]] = field(default_factory=dict)


_tracked: dict[str, Tracking] = {}
_exempt: dict[str, str] = {}


def track(
    *,
    mask: Iterable[str] = (),
    exclude: Iterable[str] = (),
    personal: Iterable[str] = (),
    derived: Mapping[str, Iterable[str]] | None = None,
) -> Callable[[M], M]:
    """Capture every change of the decorated model, and of its automatic many-to-many tables.

    Args:
        mask: field names whose values are recorded as a keyed digest: that they changed, not what they were.
        exclude: field names that are not captured; a change of these alone makes no event.
        personal: field names whose values are shown only to those who may see personal values.
        derived: by the name of a method of the model, the names of the fields that it makes of the others. A restore
            calls it before it saves; its `ValidationError` refuses the restore.
    """

    def decorate(model: M) -> M:
        register(model._meta.label, mask=mask, exclude=exclude, personal=personal, derived=derived)
        return model

    return decorate


def register(
    label: str,
    *,
    mask: Iterable[str] = (),
    exclude: Iterable[str] = (),
    personal: Iterable[str] = (),
    derived: Mapping[str, Iterable[str]] | None = None,
) -> None:
    """Capture a model that is someone else's, by its label such as `auth.Group`.

    Raises:
        RegistrationError: the model is already registered otherwise, or is exempt.
    """
    made = {method: frozenset(names) for method, names in (derived or {}).items()}
    tracking = Tracking(label, frozenset(mask), frozenset(exclude), frozenset(personal), made)
    key = label.lower()
    if key in _exempt:
        raise RegistrationError(f"{label} is exempt from the ledger; it can't be tracked as well.")
    if _tracked.get(key, tracking) != tracking:
        raise RegistrationError(f"{label} is tracked twice, with different options.")
    _tracked[key] = tracking
    personal_fields.cache_clear()


def exempt(*, reason: str) -> Callable[[M], M]:
    """Leave the decorated model out of the ledger, and say why; a model with neither fails the system check."""
    if not reason.strip():
        raise RegistrationError("An exemption needs a reason.")

    def decorate(model: M) -> M:
        key = model._meta.label_lower
        if key in _tracked:
            raise RegistrationError(f"{model._meta.label} is tracked; it can't be exempt as well.")
        _exempt[key] = reason
        return model

    return decorate


def tracking_of(model: type[models.Model]) -> Tracking | None:
    """Return how `model` is captured; None where it isn't."""
    return _tracked.get(model._meta.label_lower)


def exemption_of(model: type[models.Model]) -> str | None:
    """Return why `model` is exempt; None where it isn't."""
    return _exempt.get(model._meta.label_lower)


def tracked_models() -> list[tuple[type[models.Model], Tracking]]:
    """Return each tracked model with its options, in the order of their labels.

    Raises:
        RegistrationError: a registered label names no installed model, or an option no field of it.
    """
    result = []
    for key, tracking in sorted(_tracked.items()):
        try:
            model = apps.get_model(key)
        except LookupError as error:
            raise RegistrationError(f"{tracking.label} is registered with the ledger but not installed.") from error
        names = {name for field in model._meta.local_fields for name in (field.name, field.attname, field.column)}
        derived = frozenset().union(*tracking.derived.values())
        if unknown := (tracking.mask | tracking.exclude | tracking.personal | derived) - names:
            raise RegistrationError(
                f"{tracking.label} has no field {', '.join(sorted(unknown))}"
                " to mask, exclude, take for personal or derive."
            )
        if missing := [name for name in tracking.derived if not callable(getattr(model, name, None))]:
            raise RegistrationError(f"{tracking.label} has no method {', '.join(missing)} that makes derived fields.")
        result.append((model, tracking))
    return result


@cache  # it's asked for each value that is shown
def personal_fields() -> dict[str, frozenset[str]]:
    """Return the personal fields of each object type that has any, under every name that the ledger may have."""
    found = {}
    for key, tracking in _tracked.items():
        if tracking.personal:
            fields = apps.get_model(key)._meta.local_fields
            names = [{field.name, field.attname, field.column} for field in fields]
            found[key] = frozenset().union(*(one for one in names if one & tracking.personal))
    return found
