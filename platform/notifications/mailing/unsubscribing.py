"""The link that ends mails without a login: signed, so that nobody can end another's, and good for ever."""

from django.core import signing

from notifications.models import MailKind

_SALT = "notifications.unsubscribe"
_LONGEST = 200


def token_for(user_id: int, mails: str) -> str:
    """Return what proves that somebody was sent mails of this kind."""
    return signing.dumps([user_id, str(mails)], salt=_SALT)


def read_token(token: str) -> tuple[int, MailKind] | None:
    """Return whose mails of which kind a token ends; None where it isn't one of ours."""
    if len(token) > _LONGEST:
        return None
    try:
        user_id, mails = signing.loads(token, salt=_SALT)
        return int(user_id), MailKind(mails)
    except (signing.BadSignature, ValueError, TypeError):
        return None
