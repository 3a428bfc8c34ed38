"""What people have seen before they are told of it: other parts of the platform know, each of its own topics."""

from collections.abc import Callable

Sighting = Callable[[int, str], bool]
_sightings: dict[str, Sighting] = {}


def know_sightings(beginning: str, has_seen: Sighting) -> None:
    """Have `has_seen(user_id, url)` asked of topics that begin so, before anybody is told."""
    _sightings[beginning] = has_seen


def has_seen(user_id: int, topic: str, url: str) -> bool:
    """Whether somebody has seen already what they are to be told of."""
    return any(known(user_id, url) for beginning, known in _sightings.items() if topic.startswith(beginning))
