"""Who sees whether the platform is closed, and who closes it; API and page ask here."""

from typing import Any

from ops.maintenance.passing import is_staff


def can_see_maintenance(user: Any) -> bool:
    """Whether `user` sees how it stands: staff, and who may by permission."""
    return is_staff(user) or user.has_perm("ops.view_maintenance")


def can_switch_maintenance(user: Any) -> bool:
    """Whether `user` may switch it on and off."""
    return bool(user.has_perm("ops.change_maintenance"))
