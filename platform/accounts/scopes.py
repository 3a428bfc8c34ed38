"""What a token may be used for. A scope narrows what its user may do; it never widens it."""

from collections.abc import Iterable, Mapping
from typing import Any

from rest_framework.permissions import SAFE_METHODS, BasePermission
from rest_framework.request import Request

import audit
from accounts.errors import UnknownScopeError
from accounts.models import ApiToken
from audit.registry import tracked_models

SCOPES = {
    "audit:read": "Read the ledger.",
    "audit:export": "Take what may be read of the ledger away as a file.",
    "audit:restore": "Restore an object to what the ledger holds, where its user may change it.",
    "blog:read": "Read posts and comments, also one's own drafts.",
    "blog:write": "Write, change and delete posts and comments.",
    "chat:read": "Read rooms and messages.",
    "chat:write": "Send and change messages, open rooms, mark as read; and moderate, where its user may.",
    "images:read": "See one's own pictures.",
    "images:write": "Upload, describe and delete pictures.",
    "tasks:read": "See background tasks.",
    "tasks:write": "Retry and cancel tasks, pause and resume queues, where its user may.",
    "notifications:read": "Read one's own notifications.",
    "notifications:write": "Mark one's own notifications as read, and choose how one is told.",
    "ops:read": "See whether maintenance mode is on.",
    "ops:write": "Switch maintenance mode on and off.",
}


def checked_scopes(names: Iterable[str]) -> list[str]:
    """Return `names` sorted and once each.

    Raises:
        UnknownScopeError: one of them is no scope.
    """
    wanted = sorted(set(names))
    if unknown := [name for name in wanted if name not in SCOPES and not _is_of_one_type(name)]:
        raise UnknownScopeError(
            f"Unknown scope: {', '.join(unknown)}. Scopes are: {', '.join(SCOPES)}; and audit:read:<app>.<model>, which"
            " reads the ledger's events of one type of object."
        )
    return wanted


def _is_of_one_type(name: str) -> bool:
    object_type = name.removeprefix("audit:read:")
    return object_type != name and any(object_type == model._meta.label_lower for model, _ in tracked_models())


class ScopePermission(BasePermission):
    """Lets a token do what its scopes allow. People with a session need no scope.

    What a view takes follows from its app: `blog:read` for safe methods and `blog:write` for the others. A view that
    differs says so: `required_scopes = {"read": "audit:read", "write": None}`; None means that any token will do.
    Where the scope doesn't exist, as `audit:write`, no token will.
    """

    def has_permission(self, request: Request, view: Any) -> bool:
        token = request.auth
        if not isinstance(token, ApiToken):
            return True
        scope = required_scope(view, request.method or "")
        if scope is None or scope in token.scopes:
            return True
        self.message = f"This token lacks the scope {scope}."
        audit.record("accounts.scope.denied", target=token, outcome="denied", changes={"scope": scope})
        return False


def required_scope(view: Any, method: str) -> str | None:
    """Return the scope that a token needs for `method` on `view`; None where it needs none."""
    access = "read" if method in SAFE_METHODS else "write"
    declared: Mapping[str, str | None] = getattr(view, "required_scopes", {})
    if access in declared:
        return declared[access]
    app = type(view).__module__.partition(".")[0]
    return f"{app}:{access}"
