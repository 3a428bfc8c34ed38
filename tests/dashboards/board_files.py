"""The dashboards, as their JSON has them, and their queries with Grafana's variables filled in."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tests.dashboards.tools import DASHBOARDS

FOLDER = DASHBOARDS / "json"
# What Grafana puts in; a test may choose otherwise.
VARIABLES = {
    "job": "glasshouse",
    "pg_job": "postgresql",
    "redis_job": "redis",
    "collector_job": "collector",
    "task": ".*",
    "slo": ".*",
    "socket": ".*",
    "action": ".*",
    "route": "/blog/",
    "__rate_interval": "1m",
    "__range": "1h",
    "__interval": "15s",
    "__range_s": "3600",
}
_VARIABLE = re.compile(r"\$(\w+)|\$\{(\w+)(?::\w+)?\}")


def boards() -> dict[str, dict[str, Any]]:
    """Return the dashboards by uid."""
    read = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(FOLDER.glob("*.json"))]
    return {board["uid"]: board for board in read}


def panels_of(board: dict[str, Any]) -> list[dict[str, Any]]:
    """Return a dashboard's panels without its headings."""
    return [panel for panel in board["panels"] if panel["type"] != "row"]


@dataclass(frozen=True)
class Asked:
    """One query of a panel."""

    board: str
    panel: str
    expr: str
    legend: str
    has_exemplars: bool
    is_table: bool

    @property
    def name(self) -> str:
        return f"{self.board.removeprefix('glasshouse-')}: {self.panel}"

    def filled(self, **values: str) -> str:
        """Return the PromQL as Grafana sends it."""
        return fill(self.expr, **values)


def queries() -> Iterator[Asked]:
    """Return the PromQL of all panels."""
    for uid, board in boards().items():
        for panel in panels_of(board):
            for target in panel.get("targets", []):
                if target["datasource"]["type"] == "prometheus":
                    yield Asked(
                        uid,
                        panel["title"],
                        target["expr"],
                        target.get("legendFormat", ""),
                        bool(target.get("exemplar")),
                        target.get("format") == "table",
                    )


def fill(text: str, **values: str) -> str:
    """Return a text with Grafana's variables replaced; what is none of ours stays, as Grafana leaves it."""
    known = VARIABLES | values
    return _VARIABLE.sub(lambda found: known.get(found[1] or found[2], found[0]), text)


def variables_in(text: str) -> set[str]:
    """Return the names of the variables in a text."""
    return {found[0] or found[1] for found in _VARIABLE.findall(text)}
