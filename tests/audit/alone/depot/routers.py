"""Which database role does what."""

from typing import Any


class OwnerMigrates:
    """The owner makes the tables; the application writes the rows."""

    def allow_migrate(self, db: str, app_label: str, **hints: Any) -> bool:
        return db == "owner"
