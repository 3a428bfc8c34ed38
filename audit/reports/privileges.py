"""Privileges given and taken, as the ledger tells them: superusers, staff, groups, permissions and API tokens."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group, Permission
from django.db.models import CharField, F, Func, Q

from audit import registry, values
from audit.models import Event

_USER_FIELDS = ("is_superuser", "is_staff", "groups", "user_permissions")
_GROUP = "auth.group"
_MOST_EVENTS = 200
_LONGEST_TEXT = 300
_UNTOLD = ("id", "created_at", "created")  # of a token that came or went
_OWNER = "user_id"
_KINDS = {"groups": "groups", "user_permissions": "permissions", "permissions": "permissions"}


@dataclass(frozen=True, slots=True)
class Change:
    """One field of one event: what it was and became, in words."""

    at: datetime
    event_id: int
    object_type: str
    object_id: str
    name: str
    field: str
    before: str
    after: str
    by: str


@dataclass(frozen=True, slots=True)
class Changes:
    """The newest changes of privileges, and of how many events there are."""

    changes: tuple[Change, ...]
    total: int


def changes(since: datetime, until: datetime, *, using: str = "default") -> Changes:
    """Return the changes of privileges in a period, newest first; groups and permissions by the names they have now."""
    found = Event.objects.using(using).filter(_is_grant(), recorded_at__gte=since, recorded_at__lt=until)
    events = list(found.order_by("-recorded_at", "-id")[: _MOST_EVENTS + 1])
    total = len(events) if len(events) <= _MOST_EVENTS else found.order_by().count()
    events = events[:_MOST_EVENTS]
    names = _Names(events, using)
    return Changes(tuple(one for event in events for one in _changes_of(event, names)), total)


def names_by_digest(digests: Iterable[str], *, using: str = "default") -> dict[str, str]:
    """Return the usernames of today whose digest, as that of a failed login, is among `digests`."""
    model = get_user_model()
    digest = Func(
        F(model.USERNAME_FIELD),
        template="pg_catalog.left(pg_catalog.encode(pg_catalog.sha256("
        "pg_catalog.convert_to((%(expressions)s)::text, 'UTF8')), 'hex'), 16)",
        output_field=CharField(),
    )
    users = model._base_manager.using(using).annotate(audit_digest=digest).filter(audit_digest__in=list(digests))
    return dict(users.values_list("audit_digest", model.USERNAME_FIELD))


def _is_grant() -> Q:
    user = get_user_model()._meta.label_lower
    found = Q(action=f"{user}.updated", changes__has_any_keys=_USER_FIELDS)
    for flag in ("is_superuser", "is_staff"):
        found |= Q(action__in=[f"{user}.created", f"{user}.deleted"], changes__contains={flag: True})
    found |= Q(action=f"{_GROUP}.updated", changes__has_key="permissions")
    tokens = [f"{label}.{verb}" for label in _token_types() for verb in ("created", "updated", "deleted")]
    return found | Q(action__in=tokens)


def _token_types() -> list[str]:
    """The tracked models that are called tokens, as those of an API are."""
    return [
        model._meta.label_lower
        for model, _ in registry.tracked_models()
        if model._meta.model_name and model._meta.model_name.endswith("token")
    ]


def _changes_of(event: Event, names: "_Names") -> list[Change]:
    told = event.differences
    if event.object_type in (get_user_model()._meta.label_lower, _GROUP):
        wanted = [*_USER_FIELDS, "permissions"]
        pairs = [(field, names.told(field, told[field])) for field in wanted if field in told]
        if not event.action.endswith(".updated"):  # of a row that came or went, what it gave
            pairs = [(field, pair) for field, pair in pairs if True in told[field]]
    elif event.action.endswith(".updated"):
        pairs = [(field, (_text(before), _text(after))) for field, (before, after) in told.items()]
    else:
        row = names.of_row(event.changes or {})
        pairs = [("token", ("", row) if event.action.endswith(".created") else (row, ""))]
    return [
        Change(
            at=event.recorded_at,
            event_id=event.pk,
            object_type=event.object_type or "",
            object_id=event.object_id or "",
            name=names.of_object(event),
            field=field,
            before=before,
            after=after,
            by=event.actor_label or event.actor_id or event.actor_type or "nobody known",
        )
        for field, (before, after) in pairs
    ]


def _text(value: Any) -> str:
    if value is None:
        return ""
    text = value if isinstance(value, str) else values.dumps(value).decode()
    return text if len(text) <= _LONGEST_TEXT else f"{text[:_LONGEST_TEXT]}…"


class _Names:
    """The names of today of users, groups and permissions that events tell of by their keys."""

    def __init__(self, events: Iterable[Event], using: str) -> None:
        user = get_user_model()
        keys: dict[str, set[str]] = {"users": set(), "groups": set(), "permissions": set()}
        self._kinds = {user._meta.label_lower: "users", _GROUP: "groups"}
        for event in events:
            if kind := self._kinds.get(event.object_type or ""):
                keys[kind].add(str(event.object_id))
            else:
                keys["users"].add(_key((event.changes or {}).get(_OWNER)))
            for field, pair in event.differences.items():
                if kind := _KINDS.get(field):
                    keys[kind] |= {_key(key) for side in pair if isinstance(side, list) for key in side}
        self._names = {
            "users": _named(user._base_manager.using(using), keys["users"], user.USERNAME_FIELD),
            "groups": _named(Group.objects.using(using), keys["groups"], "name"),
            "permissions": {
                str(pk): f"{app}.{codename}"
                for pk, app, codename in Permission.objects.using(using)
                .filter(pk__in=_usable(Permission, keys["permissions"]))
                .values_list("pk", "content_type__app_label", "codename")
            },
        }

    def told(self, field: str, pair: list[Any]) -> tuple[str, str]:
        """Return what a field was and became; of groups and permissions what went and what came."""
        if field not in _KINDS:
            return _text(pair[0]), _text(pair[1])
        known = self._names[_KINDS[field]]
        went, came = (
            ", ".join(known.get(_key(key), f"#{_key(key)}") for key in side) if isinstance(side, list) else ""
            for side in pair
        )
        return went and f"removed: {went}", came and f"added: {came}"

    def of_object(self, event: Event) -> str:
        """Return whose privilege it is, with the name of today where there's one."""
        kind = (event.object_type or "").rpartition(".")[2]
        known = self._names.get(self._kinds.get(event.object_type or "", ""), {})
        return f"{kind} {known.get(event.object_id or '') or '#' + (event.object_id or '?')}"

    def of_row(self, row: Mapping[str, Any]) -> str:
        """Return what a token that came or went is: its row, without what is masked or says nothing."""
        told = []
        if _OWNER in row:
            key = _key(row[_OWNER])
            told.append(f"of {self._names['users'].get(key) or f'user #{key}'}")
        for field, value in row.items():
            is_masked = isinstance(value, dict) and "masked" in value
            if field not in (*_UNTOLD, _OWNER) and value not in (None, "", []) and not is_masked:
                told.append(f"{field} {_text(value)}")
        return _text(", ".join(told))


def _key(key: Any) -> str:
    return key if isinstance(key, str) else values.dumps(key).decode()


def _usable(model: Any, keys: Iterable[str]) -> list[str]:
    """The keys that can be asked for: one of a ledger older than the model may be none of today's."""
    usable = []
    for key in keys:
        try:
            model._meta.pk.to_python(key)
        except Exception:  # noqa: S112  a field of the project's own may raise anything
            continue
        usable.append(key)
    return usable


def _named(rows: Any, keys: Iterable[str], field: str) -> dict[str, str]:
    found = rows.filter(pk__in=_usable(rows.model, keys)).values_list("pk", field)
    return {str(pk): str(name) for pk, name in found}
