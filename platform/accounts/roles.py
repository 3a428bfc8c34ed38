"""Roles: groups whose permissions are written down here. `admin` isn't one: it's a superuser."""

from typing import Any

from django.apps import AppConfig
from django.apps import apps as installed_apps
from django.apps.registry import Apps
from django.contrib.auth.management import create_permissions
from django.db import DEFAULT_DB_ALIAS, router

from telemetry.logs import get_logger

log = get_logger(__name__)

ROLES: dict[str, tuple[str, ...]] = {
    "auditor": ("audit.view_event", "audit.view_personal", "audit.export_event"),
    "operator": (
        "tasks.view_taskrun",
        "tasks.change_taskrun",
        "tasks.change_queue",
        "accounts.view_request_page",
        "ops.view_maintenance",
        "ops.change_maintenance",
    ),
    "developer": ("tasks.view_taskrun", "accounts.view_request_page"),
    "author": ("blog.add_post", "blog.change_post", "blog.publish_post", "blog.add_image", "images.add_picture"),
    # Writes, and needs a review to be published.
    "contributor": ("blog.add_post", "blog.change_post", "blog.add_image", "images.add_picture"),
    "moderator": (
        *("blog.change_comment", "blog.delete_comment", "blog.review_post", "blog.unpublish_post"),
        *("blog.view_report", "blog.change_report"),
        *("images.add_picture", "chat.add_room", "chat.moderate_room"),
    ),
    "reader": ("images.add_picture",),
}


def after_migrate(sender: AppConfig, using: str, apps: Apps = installed_apps, **kwargs: Any) -> None:
    """Django's `post_migrate`, once for each app: give each role what it may do in that app."""
    sync_roles_with(sender, using=using, apps=apps)


def sync_roles(*, using: str = DEFAULT_DB_ALIAS) -> None:
    """Make all groups and their permissions what `ROLES` says, where a database lacks them."""
    for app in installed_apps.get_app_configs():
        if app.models_module is not None:
            sync_roles_with(app, using=using)


def sync_roles_with(app: AppConfig, *, using: str, apps: Apps = installed_apps) -> None:
    """Make each role's permissions of one app what `ROLES` says; those of apps that it doesn't name are left alone.

    A role is what the code says, so that it means the same everywhere; for other wishes there are other groups.
    """
    wanted_here = {
        permission for role in ROLES.values() for permission in role if permission.startswith(f"{app.label}.")
    }
    if not wanted_here and app.label != "accounts":
        return
    try:
        groups, permissions = apps.get_model("auth", "Group"), apps.get_model("auth", "Permission")
    except LookupError:  # migrated back to before there were any
        return
    if not router.allow_migrate_model(using, groups):
        return
    # Django makes them in a receiver of the same signal, which may run after this one.
    create_permissions(app, verbosity=0, interactive=False, using=using, apps=apps)
    known = {
        f"{app.label}.{permission.codename}": permission
        for permission in permissions.objects.using(using).filter(content_type__app_label=app.label)
    }
    if missing := wanted_here - known.keys():
        log.warning("accounts.role_permission_missing", permissions=sorted(missing))
    for name, wanted in ROLES.items():
        group, _ = groups.objects.using(using).get_or_create(name=name)
        present = set(group.permissions.filter(content_type__app_label=app.label))
        right = {known[permission] for permission in wanted if permission in known}
        if right - present:
            group.permissions.add(*(right - present))
        if present - right:
            group.permissions.remove(*(present - right))
