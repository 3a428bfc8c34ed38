"""The route of a socket, as a label: its path with the parameters' names in place of their values."""

from collections.abc import Mapping
from typing import Any

_MOST_ROUTES = 200
_seen: set[str] = set()


def route_of(scope: Mapping[str, Any]) -> str:
    """Return a route such as `/ws/chat/<room>/`; empty where no router matched the path, `_OTHER` beyond 200."""
    if "url_route" not in scope:
        return ""  # an unmatched path as a label would let strangers make series
    given = scope["url_route"]
    values = [*((str(number), value) for number, value in enumerate(given.get("args", ()))), *given["kwargs"].items()]
    path = "/" + str(scope.get("path", "")).lstrip("/")
    for name, value in reversed(values):
        path = _with_name(path, name, str(value))
    if path not in _seen:
        if len(_seen) >= _MOST_ROUTES:
            return "_OTHER"
        _seen.add(path)
    return path


def _with_name(path: str, name: str, value: str) -> str:
    """Put a name in the place of its value: of a whole segment where there's one, the last since names come late."""
    segments = path.split("/")
    for position in range(len(segments) - 1, -1, -1):
        if segments[position] == value:
            segments[position] = f"<{name}>"
            return "/".join(segments)
    before, found, after = path.rpartition(value) if value else ("", "", path)
    return f"{before}<{name}>{after}" if found else path
