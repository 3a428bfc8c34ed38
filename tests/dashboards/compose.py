"""docker-compose.observability.yml, as docker-compose reads it."""

from functools import cache
from typing import Any

import yaml

from tests.dashboards import tools
from tests.dashboards.tools import PROJECT

FILE = PROJECT / "docker-compose.observability.yml"
# As strong as production wants them, and told apart.
SECRETS = {
    name: f"{name.lower().replace('_', '')}0123456789abcdefghijklmnopqrstuvwxyz0123456789"
    for name in (
        "SECRET_KEY",
        "POSTGRES_PASSWORD",
        "DATABASE_OWNER_PASSWORD",
        "DATABASE_PASSWORD",
        "DATABASE_MONITOR_PASSWORD",
        "REDIS_PASSWORD",
        "GRAFANA_ADMIN_PASSWORD",
    )
}


@cache
def resolved() -> dict[str, Any]:
    """Return the file with all variables filled in: the secrets above, and defaults."""
    done = tools.run("docker-compose", "--file", FILE, "config", env=SECRETS)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = yaml.safe_load(done.stdout)
    return found


def services() -> dict[str, dict[str, Any]]:
    """Return the services by name."""
    found: dict[str, dict[str, Any]] = resolved()["services"]
    return found
