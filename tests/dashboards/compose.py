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


@cache
def services() -> dict[str, dict[str, Any]]:
    """Return the services by name; ports and volumes in their short form, which the second docker-compose lengthens."""
    found: dict[str, dict[str, Any]] = resolved()["services"]
    for service in found.values():
        service["ports"] = [_port(port) for port in service.get("ports", [])]
        service["volumes"] = [_volume(volume) for volume in service.get("volumes", [])]
    return found


def _port(port: str | dict[str, Any]) -> str:
    if isinstance(port, str):
        return port
    return ":".join(str(part) for part in (port.get("host_ip"), port["published"], port["target"]) if part)


def _volume(volume: str | dict[str, Any]) -> str:
    if isinstance(volume, str):
        return volume
    return f"{volume['source']}:{volume['target']}:{'ro' if volume.get('read_only') else 'rw'}"
