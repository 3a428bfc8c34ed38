"""`Authorization: Bearer gh_…`: how programs say who they are."""

from dataclasses import replace

from django.utils import timezone
from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

import audit
from accounts import queries
from accounts.actions import note_token_use
from accounts.models import TOKEN_MARK, ApiToken, User
from telemetry import context

_LONGEST_TOKEN = 200
# Said of all tokens that aren't known, and of tokens whose user is shut out: strangers learn nothing from it.
_NOT_VALID = "This token isn't valid."


class BearerAuthentication(BaseAuthentication):
    """Authenticates a request by its token. Other schemes, and no header at all, are left to other classes."""

    def authenticate(self, request: Request) -> tuple[User, ApiToken] | None:
        """Return the token's user and the token.

        Raises:
            AuthenticationFailed: the header is malformed, or the token unknown, revoked or expired.
        """
        scheme, _, text = get_authorization_header(request).decode("latin-1").partition(" ")
        if scheme.lower() != "bearer":
            return None
        text = text.strip()
        if not text.startswith(TOKEN_MARK) or len(text) > _LONGEST_TOKEN or " " in text:
            raise self._refusal("malformed", _NOT_VALID)
        token = queries.token_with_text(text)
        if token is None:
            raise self._refusal("unknown", _NOT_VALID)
        if not token.user.is_active:
            raise self._refusal("inactive user", _NOT_VALID, token)
        # Whoever holds the whole text may know why it no longer works.
        if token.revoked_at is not None:
            raise self._refusal("revoked", "This token was revoked.", token)
        if token.is_expired(timezone.now()):
            raise self._refusal("expired", "This token has expired.", token)
        note_token_use(token)
        context.activate(replace(context.current(), token_id=str(token.pk)))
        return token.user, token

    def authenticate_header(self, request: Request) -> str:
        """Return what `WWW-Authenticate` says (RFC 6750)."""
        is_refused = get_authorization_header(request).lower().startswith(b"bearer")
        return 'Bearer realm="glasshouse"' + (', error="invalid_token"' if is_refused else "")

    def _refusal(self, why: str, message: str, token: ApiToken | None = None) -> AuthenticationFailed:
        audit.record("accounts.token.refused", target=token, outcome="denied", changes={"why": why})
        return AuthenticationFailed(message)
