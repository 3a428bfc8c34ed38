"""Accounts to try the platform with, one for each role. Never in production."""

from dataclasses import dataclass

from django.conf import settings
from django.contrib.auth.models import Group
from django.db import transaction

import audit
from accounts.errors import DemoForbiddenError
from accounts.models import User


@dataclass(frozen=True, slots=True)
class DemoAccount:
    """One account; the username is the name of its role."""

    username: str
    display_name: str
    about: str
    is_staff: bool = False
    is_superuser: bool = False


DEMO_ACCOUNTS = (
    DemoAccount("admin", "Ada Admin", "may do everything", is_staff=True, is_superuser=True),
    DemoAccount("auditor", "Audrey Auditor", "reads the ledger"),
    DemoAccount("operator", "Oscar Operator", "watches tasks and requests", is_staff=True),
    DemoAccount("developer", "Dana Developer", "follows requests", is_staff=True),
    DemoAccount("author", "Arthur Author", "writes posts"),
    DemoAccount("moderator", "Mona Moderator", "keeps comments and posts in order"),
    DemoAccount("reader", "Robin Reader", "reads and comments"),
)


def create_demo_accounts(password: str) -> list[User]:
    """Create what is missing of the demo accounts, and return all of them; those that exist keep their password.

    Raises:
        DemoForbiddenError: the settings forbid demo accounts.
    """
    if settings.DEMO_PASSWORD is None:
        raise DemoForbiddenError(DemoForbiddenError.__doc__)
    with transaction.atomic(), audit.reason("demo accounts"):
        return [_create(account, password) for account in DEMO_ACCOUNTS]


def _create(account: DemoAccount, password: str) -> User:
    existing = User.objects.filter(username=account.username).first()
    if existing is not None:
        return existing
    user = User.objects.create_user(
        account.username,
        f"{account.username}@example.com",
        password,
        display_name=account.display_name,
        is_staff=account.is_staff,
        is_superuser=account.is_superuser,
    )
    if not account.is_superuser:
        user.groups.add(Group.objects.get(name=account.username))
    return user
