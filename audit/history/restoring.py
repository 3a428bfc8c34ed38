"""Bringing an object back to what it was at a time: first the plan, then, if nothing changed meanwhile, the writing.

Only the object's own rows and many-to-many fields are written, by the ORM. What referred to it is restored by itself.
"""

import hashlib
import re
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from django.contrib.auth import get_permission_codename
from django.core.exceptions import NON_FIELD_ERRORS, ValidationError
from django.db import DatabaseError, DataError, IntegrityError, connections, models, transaction
from django.utils import timezone
from django.utils.crypto import salted_hmac
from psycopg import errors

from audit import capture, recording, values
from audit.errors import RestoreError, RowChangedError
from audit.history import folding, instances, present, states
from audit.history.states import State
from audit.reading import access
from audit.registry import Derivation, derivation_of

SCOPE = "audit:restore"
_LONGEST_REASON = 500
_WHY = {
    "masked": "The ledger has only a digest of it.",
    "cut": "It was too long for the ledger, which has only its beginning.",
    "excluded": "It's left out of the ledger.",
    "unknown": "The ledger doesn't know what it was.",
    "retyped": "What it held is nothing that its type takes now.",
    "generated": "The database computes it.",
    "derived": "It's made anew of the other fields.",
    "set_on_save": "It's set at each save.",
    "gone": "The model has no such field.",
}


@dataclass(frozen=True, slots=True)
class Plan:
    """What restoring an object would do.

    `changes` has each field as [now, then] in the ledger's form, many-to-many fields as lists of keys; `skipped` says
    of each field that can't be restored why. `fingerprint` stands for the row as it is now, and tells nothing of it.
    `version` is the event that made the object what it was.
    """

    object_type: str
    object_id: str
    at: datetime
    action: Literal["create", "update", "nothing"]
    changes: dict[str, list[Any]] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)
    fingerprint: str = ""
    version: int | None = None


def plan(object_type: str, object_id: str, at: datetime, *, using: str = "default") -> Plan:
    """Return what would bring the object back to what it was at a time.

    Raises:
        RestoreError: it didn't exist then, the time is yet to come, or no such model is tracked.
    """
    model = _model_of(object_type)
    if at > timezone.now():
        raise RestoreError({"at": ["This time is yet to come."]})
    then = states.whole_at(model, [object_id], at, using=using)[object_id]
    if not then[model].exists:
        raise RestoreError({"at": ["It didn't exist then. Restoring brings back; it deletes nothing."]})
    now = _Present(then, using)
    changes: dict[str, list[Any]] = {}
    skipped: dict[str, str] = {}
    for table, state in then.items():
        for name in sorted({*state.fields, *state.unknown}):
            before, value = now.value(table, name), state.fields.get(name)
            if now.rows[table] and name in state.fields and _is_unchanged(table, name, before, value):
                continue
            if why := _why_not(table, name, state):
                skipped[name] = _WHY[why]
            else:
                changes[name] = [before, value]
    action: Literal["create", "update", "nothing"] = "update" if changes else "nothing"
    if not now.rows[model]:
        action = "create"
    return Plan(object_type, object_id, at, action, changes, skipped, now.fingerprint(), then[model].version)


def types_of(object_type: str) -> list[str]:
    """Return the types of all rows that are restored with an object of that type: its own, and those it inherits from.

    Raises:
        RestoreError: no such model is tracked.
    """
    model = _model_of(object_type)
    return [object_type, *(parent._meta.label_lower for parent in model._meta.all_parents)]


def missing(user: Any, scopes: Collection[str] | None = None, plan: Plan | None = None) -> str:
    """Return the permission or scope that `user` lacks for restoring, by a token's `scopes`; empty where none is.

    With `plan` it's asked as well whether they may add or change such an object.
    """
    if not user.has_perm(access.RESTORE):
        return access.RESTORE
    if scopes is not None and SCOPE not in scopes:
        return SCOPE
    if plan is not None:
        meta = _model_of(plan.object_type)._meta
        verb = "add" if plan.action == "create" else "change"
        permission = f"{meta.app_label}.{get_permission_codename(verb, meta)}"
        if not user.has_perm(permission):
            return permission
    return ""


def checked_reason(text: str) -> str:
    """Return why something is restored, without space around it.

    Raises:
        RestoreError: it's empty, or too long.
    """
    text = text.strip()
    if not text:
        raise RestoreError({"reason": ["Say why: it's recorded with the change."]})
    if len(text) > _LONGEST_REASON or "\x00" in text:
        raise RestoreError({"reason": [f"At most {_LONGEST_REASON} characters, and no NUL."]})
    return text


def apply(plan: Plan, reason: str, *, using: str = "default") -> int | None:
    """Do what `plan` says, in one transaction, and record `<type>.restored`; return that event's id.

    Who may is for the caller to ask (`missing`). Where there's nothing to do, nothing is recorded, and None returned.

    Raises:
        RestoreError: there's no reason, or the row as it was is refused now, such as for a reference to what is gone.
        RowChangedError: the row is no longer what it was when the plan was made.
    """
    model, reason = _model_of(plan.object_type), checked_reason(reason)
    try:
        with transaction.atomic(using=using), recording.reason(reason):
            rows = _locked(model, plan, using)
            # What was then can't have changed; what is now can.
            current = _planned_anew(plan, using)
            if current.action == "nothing":
                return None
            _write(model, rows, current, using)
            connections[using].check_constraints()  # those that would wait for the commit
            return recording.record(
                f"{plan.object_type}.restored",
                target=(plan.object_type, plan.object_id),
                changes={
                    "at": plan.at.isoformat(),
                    "version": current.version,
                    "fields": sorted(current.changes),
                    "not_restored": sorted(current.skipped),
                },
                reason=reason,
                using=using,
            )
    except ValidationError as error:
        raise RestoreError(_problems_of_validation(error)) from error
    except (IntegrityError, DataError) as error:
        columns = _columns_in(error)
        keys = [capture.plain(one.column or "") for one in model._meta.pk_fields]
        if plan.action == "create" and isinstance(error.__cause__, errors.UniqueViolation) and columns == keys:
            raise RowChangedError from error
        raise RestoreError(_problems_of_database(error, columns)) from error


def _model_of(object_type: str) -> type[models.Model]:
    if model := present.tracked_model(object_type):
        return model
    raise RestoreError({"object_type": [f"“{object_type[:100]}” is no tracked model that is installed."]})


class _Present:
    """An object's rows as they are now, by the models whose tables have them."""

    def __init__(self, then: states.Whole, using: str) -> None:
        self.rows: dict[type[models.Model], present.Row] = {}
        self._members: dict[type[models.Model], dict[str, list[Any]]] = {}
        for model, state in then.items():
            found = present.rows(model, [state.object_id], using=using, with_masked=True)
            sets = present.members(model, [state.object_id], using=using)[state.object_id]
            self.rows[model] = found.get(state.object_id, {})
            self._members[model] = {name: folding.ordered(keys) for name, keys in sets.items()}
        self._ids = [(model._meta.label_lower, state.object_id) for model, state in then.items()]

    def value(self, model: type[models.Model], name: str) -> Any:
        """Return a field's value in the ledger's form; None for what the ledger hides."""
        if name in self._members[model] and self.rows[model]:
            return self._members[model][name]
        return None if present.columns_of(model).get(name) else self.rows[model].get(name)

    def fingerprint(self) -> str:
        """Return a digest that no other row has. It's keyed, since masked values go into it."""
        everything = values.dumps([self._ids, list(self.rows.values()), list(self._members.values())])
        return salted_hmac("audit.history.restoring", everything, algorithm="sha256").hexdigest()


def _is_unchanged(model: type[models.Model], name: str, now: Any, then: Any) -> bool:
    if present.columns_of(model).get(name):
        return False  # who knows
    if isinstance(now, str) and isinstance(then, dict) and then.keys() == {"cut", "length", "sha256"}:
        return bool(hashlib.sha256(now.encode()).hexdigest() == then["sha256"])
    return states.is_same(model, name, now, then)


def _why_not(model: type[models.Model], name: str, state: State) -> str:
    """Return in a word why a field can't be restored; empty where it can."""
    column = _columns(model).get(name)
    if column is not None and column.name in _derived(model):
        return "derived"
    if hidden := present.columns_of(model).get(name):
        return hidden
    if link := present.links_of(model).get(name):
        try:
            instances.python_keys(link, state.fields.get(name, ()))
        except ValueError:
            return "retyped"
        return "" if name in state.fields else "unknown"
    if column is None:
        return "gone"
    if column.generated:
        return "generated"
    if getattr(column, "auto_now", False):
        return "set_on_save"
    return instances.python_value(column, state)[1]


def _derivations(model: type[models.Model]) -> list[Derivation]:
    """What is made of the model's other fields, and of those that it inherits."""
    return [found for one in (model, *model._meta.all_parents) if (found := derivation_of(one))]


def _derived(model: type[models.Model]) -> set[str]:
    """The names of the fields that are made of others."""
    return {model._meta.get_field(name).name for one in _derivations(model) for name in one.fields}


def _columns(model: type[models.Model]) -> dict[str, Any]:
    """The fields of a model and those it inherits, by column."""
    return {capture.plain(one.column or ""): one for one in model._meta.concrete_fields}


# --- writing -------------------------------------------------------------------------------------------------------


def _locked(model: type[models.Model], plan: Plan, using: str) -> dict[type[models.Model], models.Model]:
    """Lock the object's rows and links, and return its instance for each model that has a row of it now."""
    found = {}
    for table, state in states.whole_at(model, [plan.object_id], plan.at, using=using)[plan.object_id].items():
        rows: models.QuerySet[Any] = models.QuerySet(table, using=using).select_for_update()
        for row in rows.filter(pk=present.key_of(table, state.object_id)):
            found[table] = row
        present.members(table, [state.object_id], using=using, is_locked=True)
    return found


def _planned_anew(old: Plan, using: str) -> Plan:
    current = plan(old.object_type, old.object_id, old.at, using=using)
    if current.fingerprint != old.fingerprint:
        raise RowChangedError
    return current


def _write(model: type[models.Model], rows: dict[type[models.Model], models.Model], current: Plan, using: str) -> None:
    columns = _columns(model)
    held: dict[Any, Any] = {}
    sets: dict[Any, list[Any]] = {}
    for name, (_now, then) in current.changes.items():
        if column := columns.get(name):
            held[column] = values.to_python(column.model, column.name, then)
        else:
            link = model._meta.get_field(name)
            sets[link] = _present_keys(link, then, using)
    instance = rows.get(model) or _blank(model, rows)
    for one, value in held.items():
        setattr(instance, one.attname, value)
    # What isn't restored is none of our business, and a row that stood there may have been emptier than forms allow.
    unchecked = {one.name for one in model._meta.fields if one not in held or _may_stay_empty(one, held[one])}
    instance.full_clean(exclude=unchecked)
    derived = _derived(model)
    for one in _derivations(model):
        one.make(instance)
    if current.action == "create":
        instance.save(force_insert=True, using=using)
    elif held or derived:
        on_save = [one for one in model._meta.concrete_fields if getattr(one, "auto_now", False)]
        instance.save(update_fields=[*(one.name for one in (*held, *on_save)), *derived], using=using)
    # What saving made of them on its own account, such as the time of a creation.
    if others := {one.attname: value for one, value in held.items() if getattr(instance, one.attname) != value}:
        models.QuerySet(model, using=using).filter(pk=instance.pk).update(**others)
    for link, keys in sets.items():
        getattr(instance, link.name).set(keys)


def _blank(model: type[models.Model], rows: dict[type[models.Model], models.Model]) -> models.Model:
    """Return a new instance, with what rows of its parents are there still."""
    kept = {one.attname: getattr(row, one.attname) for row in rows.values() for one in row._meta.concrete_fields}
    return model(**kept)


def _present_keys(link: Any, keys: list[Any], using: str) -> list[Any]:
    far = link.remote_field.model
    wanted = instances.python_keys(link, keys)
    there = set(models.QuerySet(far, using=using).filter(pk__in=wanted).values_list("pk", flat=True))
    if gone := [str(key) for key in wanted if key not in there]:
        raise RestoreError({link.name: [f"These aren't there any more: {', '.join(gone[:20])}."]})
    return wanted


def _may_stay_empty(column: Any, value: Any) -> bool:
    return value in column.empty_values and (value is not None or column.null)


# --- refusals ------------------------------------------------------------------------------------------------------


def _problems_of_validation(error: ValidationError) -> dict[str, list[str]]:
    if not hasattr(error, "error_dict"):
        return {"non_field_errors": error.messages}
    return {"non_field_errors" if name == NON_FIELD_ERRORS else name: list(t) for name, t in error.message_dict.items()}


def _columns_in(error: DatabaseError) -> list[str]:
    """The columns that the database names, in whatever language it speaks."""
    diagnosis = getattr(error.__cause__, "diag", None)
    if diagnosis is None:
        return []
    if diagnosis.column_name:
        return [diagnosis.column_name]
    named = re.search(r"\((.+?)\)=\(", diagnosis.message_detail or "")
    return [name.strip().strip('"') for name in named[1].split(",")] if named else []


def _problems_of_database(error: DatabaseError, columns: list[str]) -> dict[str, list[str]]:
    cause = error.__cause__
    constraint = getattr(getattr(cause, "diag", None), "constraint_name", None) or ""
    match cause:
        case errors.ForeignKeyViolation():
            message = "A reference wouldn't hold: the row at its other end isn't there."
        case errors.UniqueViolation():
            message = "Another row has this value now."
        case errors.NotNullViolation():
            message = "It can't be empty, and the ledger doesn't know what it was."
        case _:
            message = f"The database refuses this value{f' ({constraint})' if constraint else ''}."
    return {name: [message] for name in columns or [constraint or "non_field_errors"]}
