"""`manage create_token USER --scope …`: makes an API token and shows it once."""

import argparse
import json
from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from accounts.actions import create_token
from accounts.errors import UnknownScopeError
from accounts.models import User
from accounts.scopes import SCOPES

_LONGEST_DAYS = 3650
_EPILOG = """\
examples:
  manage create_token auditor --scope audit:read
  manage create_token author --scope blog:read --scope blog:write --name "CI" --expires-in-days 7
  curl -H "Authorization: Bearer $(manage create_token auditor --scope audit:read --format token)" …

scopes:
"""


class Command(BaseCommand):
    help = "Make a bearer token for the API. It's printed once; only its digest is stored."
    requires_system_checks: list[str] = []

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        scopes = "\n".join(f"  {name:<20} {meaning}" for name, meaning in SCOPES.items())
        return super().create_parser(
            prog_name,
            subcommand,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            epilog=_EPILOG + scopes,
            **kwargs,
        )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("user", metavar="USER", help="the username for whom the token acts")
        parser.add_argument("--scope", action="append", default=[], help="what it may do; repeat for more")
        parser.add_argument("--name", default="", help="what the token is for")
        parser.add_argument(
            "--expires-in-days", type=int, default=90, metavar="N", help="default 90; 0 means that it never does"
        )
        parser.add_argument(
            "--format", choices=("text", "json", "token"), default="text", help="what is printed; token: that alone"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        user = _user(options["user"])
        days: int = options["expires_in_days"]
        if not options["scope"]:
            raise CommandError(f"Say what the token may do with --scope. Scopes are: {', '.join(SCOPES)}.")
        if not 0 <= days <= _LONGEST_DAYS:
            raise CommandError(f"--expires-in-days takes 0 to {_LONGEST_DAYS}.")
        if len(options["name"]) > 100:
            raise CommandError("--name takes at most 100 characters.")
        expires_at = timezone.now() + timedelta(days=days) if days else None
        try:
            token, text = create_token(
                user, actor=None, scopes=options["scope"], name=options["name"], expires_at=expires_at
            )
        except UnknownScopeError as error:
            raise CommandError(str(error)) from error
        end = expires_at.isoformat(timespec="seconds") if expires_at else None
        if options["format"] == "token":
            self.stdout.write(text)
        elif options["format"] == "json":
            answer = {"id": token.pk, "token": text, "user": user.username, "scopes": token.scopes, "expires_at": end}
            self.stdout.write(json.dumps(answer))
        else:
            self.stdout.write(text)
            # The note goes elsewhere, so that a pipe gets the token alone.
            self.stderr.write(
                f"For {user.username}: {', '.join(token.scopes)}; expires {end or 'never'}. It can't be shown again."
            )


def _user(username: str) -> User:
    user = User.objects.filter(username=username).first()
    if user is None:
        known = list(User.objects.filter(is_active=True).order_by("username").values_list("username", flat=True)[:21])
        names = ", ".join(known[:20]) + (", …" if len(known) > 20 else "")
        raise CommandError(f"There is no user {username!r}. Users are: {names or 'none yet'}.")
    if not user.is_active:
        raise CommandError(f"The user {username!r} is inactive, so a token would be refused.")
    return user
