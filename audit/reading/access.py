"""Who may see what of the ledger. Nobody sees anything but by a permission."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from django.apps import apps as installed_apps
from django.db import router

from audit.registry import tracked_models

SCOPE = "audit:read"
READ = "audit.view_event"
PERSONAL = "audit.view_personal"
MASKED = "audit.view_masked"
EXPORT = "audit.export_event"
RESTORE = "audit.restore_object"


@dataclass(frozen=True, slots=True)
class Access:
    """What one reader may see: `object_types` are all where it's None, and nothing where it's empty."""

    object_types: frozenset[str] | None = frozenset()
    sees_personal: bool = False
    sees_masked: bool = False

    @property
    def is_any(self) -> bool:
        """Whether there's anything to see."""
        return self.object_types is None or bool(self.object_types)

    def may_read(self, object_type: str) -> bool:
        """Whether events of that object type may be seen."""
        return self.object_types is None or object_type in self.object_types


NOTHING = Access()
EVERYTHING = Access(object_types=None, sees_personal=True, sees_masked=True)


def access_of(user: Any, scopes: Collection[str] | None = None) -> Access:
    """Return what `user` may see by their permissions, narrowed by a token's `scopes`; None is no token.

    `audit.view_event` shows all object types; `audit.view_events_of_<app>_<model>` shows one. A token needs
    `audit:read`, or `audit:read:<app>.<model>` for one.
    """
    if not user.is_active or not user.is_authenticated:
        return NOTHING
    types = None if user.has_perm(READ) else _types_granted_to(user)
    if scopes is not None and SCOPE not in scopes:
        scoped = {scope.removeprefix(f"{SCOPE}:") for scope in scopes if scope.startswith(f"{SCOPE}:")}
        types = frozenset(scoped) if types is None else types & scoped
    return Access(types, sees_personal=user.has_perm(PERSONAL), sees_masked=user.has_perm(MASKED))


def permission_of(object_type: str) -> str:
    """Return the codename of the permission to see the events of one object type."""
    return f"view_events_of_{object_type.replace('.', '_')}"


def _types_granted_to(user: Any) -> frozenset[str]:
    types = [model._meta.label_lower for model, _ in tracked_models()]
    return frozenset(one for one in types if user.has_perm(f"audit.{permission_of(one)}"))


def after_migrate(sender: Any, using: str, apps: Any = installed_apps, **kwargs: Any) -> None:
    """Django's `post_migrate`: make the permission to see one type's events for each tracked model."""
    try:
        contents, permissions = apps.get_model("contenttypes", "ContentType"), apps.get_model("auth", "Permission")
    except LookupError:  # not installed, or migrated back to before
        return
    if not router.allow_migrate_model(using, permissions):
        return
    content, _ = contents.objects.using(using).get_or_create(app_label="audit", model="event")
    for model, _ in tracked_models():
        label = model._meta.label_lower
        permissions.objects.using(using).get_or_create(
            content_type=content,
            codename=permission_of(label)[:100],
            defaults={"name": f"Can see the ledger's events of {label}"[:255]},
        )
