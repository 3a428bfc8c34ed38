"""Which models the ledger captures, and which it need not, each with its reason.

Filled while models are imported, so it holds labels and classes but touches no database.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeVar

from django.apps import apps
from django.db import models

from audit.errors import RegistrationError

M = TypeVar("M", bound=type[models.Model])
F = TypeVar("F", bound=Callable[[Any], None])


@dataclass(frozen=True, slots=True)
class Tracking:
    """How one model is captured: `mask` hides values behind a digest, `exclude` leaves columns out.

    `personal` values are recorded, and shown to those alone who hold `audit.view_personal`.
    """

    label: str
    mask: frozenset[str] = frozenset()
    exclude: frozenset[str] = frozenset()
    personal: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Derivation:
    """What a function makes of a model's other fields."""

    fields: frozenset[str]
    make: Callable[[Any], None]


_tracked: dict[str, Tracking] = {}
_exempt: dict[str, str] = {}
_derived: dict[str, Derivation] = {}


def track(
    *,
    mask: Iterable[str] = (),
    exclude: Iterable[str] = (),
    personal: Iterable[str] = (),
) -> Callable[[M], M]:
    """Capture every change of the decorated model, and of its automatic many-to-many tables.

    Args:
        mask: field names whose values are recorded as a keyed digest: that they changed, not what they were.
        exclude: field names that are not captured; a change of these alone makes no event.
        personal: field names whose values are shown only to those who may see personal values.
    """

    def decorate(model: M) -> M:
        register(model._meta.label, mask=mask, exclude=exclude, personal=personal)
        return model

    return decorate


def register(
    label: str,
    *,
    mask: Iterable[str] = (),
    exclude: Iterable[str] = (),
    personal: Iterable[str] = (),
) -> None:
    """Capture a model that is someone else's, by its label such as `auth.Group`.

    Raises:
        RegistrationError: the model is already registered otherwise, or is exempt.
    """
    tracking = Tracking(label, frozenset(mask), frozenset(exclude), frozenset(personal))
    key = label.lower()
    if key in _exempt:
        raise RegistrationError(f"{label} is exempt from the ledger; it can't be tracked as well.")
    if _tracked.get(key, tracking) != tracking:
        raise RegistrationError(f"{label} is tracked twice, with different options.")
    _tracked[key] = tracking
    personal_fields.cache_clear()


def derives(label: str, *fields: str) -> Callable[[F], F]:
    """Have the decorated function make these fields of a model of its others, where a restore brings an object back.

    It's given the unsaved instance before that is saved; its `ValidationError` refuses the restore. Its module is
    imported when the application is ready.

    Raises:
        RegistrationError: another function makes fields of this model.
    """

    def decorate(make: F) -> F:
        derivation = Derivation(frozenset(fields), make)
        if _derived.setdefault(label.lower(), derivation) != derivation:
            raise RegistrationError(f"The fields that {label} derives are made by two functions.")
        return make

    return decorate


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


def derivation_of(model: type[models.Model]) -> Derivation | None:
    """Return what is made of the model's other fields; None where nothing is."""
    return _derived.get(model._meta.label_lower)


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
        derived = _derived[key].fields if key in _derived else frozenset()
        if unknown := (tracking.mask | tracking.exclude | tracking.personal | derived) - names:
            raise RegistrationError(
                f"{tracking.label} has no field {', '.join(sorted(unknown))}"
                " to mask, exclude, take for personal or derive."
            )
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
