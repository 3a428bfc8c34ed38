"""What changes accounts and tokens."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from accounts.models import ApiToken, User, digest_token, new_token_text, token_prefix
from accounts.scopes import checked_scopes

# `last_used_at` answers "is it still in use?", for which a write at each request would be dear.
_LAST_USED_RESOLUTION = timedelta(minutes=1)


def create_token(
    user: User, *, actor: User | None, scopes: Iterable[str], name: str = "", expires_at: datetime | None = None
) -> tuple[ApiToken, str]:
    """Create a token for `user` and return it with its text, which nobody can see again.

    `actor` is None where no person acts, as in a command.

    Raises:
        UnknownScopeError: one of the scopes doesn't exist.
        PermissionError: `actor` is neither the user nor a superuser.
    """
    _require_owner_or_superuser(user, actor)
    text = new_token_text()
    with transaction.atomic():
        token = ApiToken.objects.create(
            user=user,
            name=name,
            prefix=token_prefix(text),
            digest_hex=digest_token(text),
            scopes=checked_scopes(scopes),
            expires_at=expires_at,
        )
    return token, text


def revoke_token(token: ApiToken, *, actor: User | None) -> None:
    """End a token now; one that is revoked already keeps its time.

    Raises:
        PermissionError: `actor` is neither the token's user nor a superuser.
    """
    _require_owner_or_superuser(token.user, actor)
    with transaction.atomic():
        locked = ApiToken.objects.select_for_update().get(pk=token.pk)
        if locked.revoked_at is None:
            locked.revoked_at = timezone.now()
            locked.save(update_fields=["revoked_at"])
    token.revoked_at = locked.revoked_at


def note_token_use(token: ApiToken) -> None:
    """Keep when the token was last used, at most once a minute however many requests come at a time."""
    now = timezone.now()
    stale = now - _LAST_USED_RESOLUTION
    if token.last_used_at is not None and token.last_used_at > stale:
        return
    is_stale = Q(last_used_at__isnull=True) | Q(last_used_at__lte=stale)
    ApiToken.objects.filter(is_stale, pk=token.pk).update(last_used_at=now)


def _require_owner_or_superuser(user: User, actor: User | None) -> None:
    if actor is not None and actor.pk != user.pk and not actor.is_superuser:
        raise PermissionError("Only a token's own user, or a superuser, may do that.")
