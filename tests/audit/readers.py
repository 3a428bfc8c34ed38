"""Who reads the ledger in a test."""

from django.contrib.auth.models import Permission

from accounts.models import ApiToken, User, digest_token, new_token_text


def user_with(*permissions: str, name: str = "auditor") -> User:
    """Return a user with permissions."""
    user = User.objects.create(username=name)
    user.user_permissions.add(*Permission.objects.filter(codename__in=permissions))
    return user


def token_for(user: User, *scopes: str) -> dict[str, str]:
    """Return the headers of a new token of theirs."""
    text = new_token_text()
    ApiToken.objects.create(user=user, prefix=text[:8], digest_hex=digest_token(text), scopes=list(scopes))
    return {"Authorization": f"Bearer {text}"}
