"""The rules, as their files have them."""

from functools import cache
from typing import Any

import yaml

from tests.dashboards.tools import DASHBOARDS

RULES = DASHBOARDS / "rules"
FILES = sorted(RULES.glob("*.yml"))


@cache
def rules() -> list[dict[str, Any]]:
    """Return all rules of all files."""
    return [rule for file in FILES for group in yaml.safe_load(file.read_text())["groups"] for rule in group["rules"]]


@cache
def alerts() -> dict[str, dict[str, Any]]:
    """Return the alerts by name."""
    return {rule["alert"]: rule for rule in rules() if "alert" in rule}


def recorded() -> set[str]:
    """Return the names of the series that rules make."""
    return {rule["record"] for rule in rules() if "record" in rule}
