"""`manage seed_demo`: demo accounts, and a blog to look at."""

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from accounts.demo import create_demo_accounts
from blog.demo import seed_demo_posts


class Command(BaseCommand):
    help = "Create the demo accounts and a dozen posts with comments, where they are missing."

    def handle(self, *args: Any, **options: Any) -> None:
        if not settings.DEMO_PASSWORD:
            raise CommandError("Demo data is for development: set DEMO_PASSWORD, with the development settings.")
        accounts = create_demo_accounts(settings.DEMO_PASSWORD)
        report = seed_demo_posts()
        for remark in report.failed:
            self.stderr.write(f"{remark.file}: {remark.message}")
        self.stdout.write(f"{len(accounts)} demo accounts, {report.imported} posts ({report.created} new).")
