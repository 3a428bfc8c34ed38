"""Which database role does what."""

from typing import Any


class OwnerMigrates:
    """Migrations run as the owner's role alone; all else uses the application's role, the default."""

    def allow_migrate(self, db: str, app_label: str, **hints: Any) -> bool:
        return db == "owner"
