"""Who may do what with pictures; the one place that says so. Pages, API and actions all ask here.

- whoever may write something (authors, moderators, readers: `images.add_picture`) uploads pictures;
- people see, describe and delete their own; administrators those of all (`images.view_picture`,
  `images.delete_picture`).

A picture that is ready has addresses that nobody guesses, and whoever knows one may look: it's what pages show.
"""

from typing import TypeAlias

from django.contrib.auth.models import AnonymousUser

import audit
from accounts.models import User
from images.errors import NotAllowedError
from images.models import Picture

Visitor: TypeAlias = User | AnonymousUser


def can_upload(user: Visitor) -> bool:
    """Whether `user` may upload pictures."""
    return user.has_perm("images.add_picture")


def can_see_all(user: Visitor) -> bool:
    """Whether everybody's pictures are listed to `user`."""
    return user.has_perm("images.view_picture")


def can_change(user: Visitor, picture: Picture) -> bool:
    """Whether `user` may describe or delete the picture."""
    is_own = isinstance(user, User) and user.is_active and picture.uploader_id == user.pk
    return is_own or user.has_perm("images.delete_picture")


def require(is_allowed: bool, picture: Picture | None, *, action: str) -> None:
    """Raise unless it's allowed; the ledger remembers the denial.

    Raises:
        NotAllowedError: it isn't.
    """
    if is_allowed:
        return
    audit.record("images.access.denied", target=picture, outcome="denied", changes={"action": action})
    raise NotAllowedError(NotAllowedError.__doc__)
