"""What is read of accounts and tokens."""

from django.db.models import QuerySet

from accounts.models import ApiToken, User, digest_token


def token_with_text(text: str) -> ApiToken | None:
    """Return the token with this text, with its user; None where there is none.

    The index is searched for a digest, which nobody can steer towards another's, so its timing tells nothing.
    """
    return ApiToken.objects.select_related("user").filter(digest_hex=digest_token(text)).first()


def tokens_of(user: User) -> QuerySet[ApiToken]:
    """Return the user's tokens, newest first, revoked and expired ones too."""
    return user.api_tokens.order_by("-id")
