"""Who uses the platform: people, and the tokens by which their programs do."""

import hashlib
import secrets
from datetime import datetime

from django.contrib.auth.models import AbstractUser
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.utils import timezone

import audit

TOKEN_MARK = "gh_"  # noqa: S105  so that people and secret scanners recognise a token
_TOKEN_BYTES = 32
_PREFIX_LENGTH = 8


@audit.track(mask=["password"], exclude=["last_login"], personal=["email", "first_name", "last_name"])
class User(AbstractUser):
    """A person. Roles are groups (`accounts.roles`)."""

    display_name = models.CharField(max_length=150, blank=True, help_text="Shown in place of the username.")

    class Meta(AbstractUser.Meta):
        # What no model's own permissions can say.
        permissions = [
            ("view_request_page", "Can follow a request on the request page"),
        ]

    @property
    def name(self) -> str:
        """What pages call this person: the display name, or the username."""
        return self.display_name or self.username


def digest_token(text: str) -> str:
    """Return what is stored of a token: SHA-256 in hexadecimal.

    Passwords need a slow, salted hash because people choose them from a small set. A token is 256 random bits:
    nobody can try them all, however fast the hash, and it's computed at each request.
    """
    return hashlib.sha256(text.encode()).hexdigest()


def new_token_text() -> str:
    """Return a new token: `gh_` and 43 characters that are safe in URLs and headers."""
    return TOKEN_MARK + secrets.token_urlsafe(_TOKEN_BYTES)


def token_prefix(text: str) -> str:
    """Return the start of a token, by which its owner knows it again."""
    return text[:_PREFIX_LENGTH]


@audit.track(mask=["digest_hex"], exclude=["last_used_at"])
class ApiToken(models.Model):
    """A bearer token: it does what its user may do, within its scopes. The text itself isn't stored."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="api_tokens")
    name = models.CharField(max_length=100, blank=True)
    prefix = models.CharField(max_length=_PREFIX_LENGTH)
    digest_hex = models.CharField(max_length=64, unique=True)
    scopes = ArrayField(models.CharField(max_length=50), default=list, blank=True)
    created_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ("-id",)
        verbose_name = "API token"

    def __str__(self) -> str:
        return f"{self.name or 'token'} ({self.prefix}…)"

    def is_expired(self, now: datetime) -> bool:
        """Whether the token had an end, and `now` is past it."""
        return self.expires_at is not None and self.expires_at <= now
