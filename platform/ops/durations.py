"""Spans of time as people write them for commands."""

import re
from argparse import ArgumentTypeError
from datetime import timedelta

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_FORM = re.compile(r"(\d{1,6})([smhdw])", re.ASCII)


def duration(text: str) -> timedelta:
    """Return the span that `text` names: `90s`, `30m`, `2h`, `7d`, `4w`; for argparse's `type`.

    Raises:
        ArgumentTypeError: it names none.
    """
    match = _FORM.fullmatch(text.strip())
    if match is None or not int(match[1]):
        raise ArgumentTypeError(f"{text!r} is no span of time. Write a number and its unit: 90s, 30m, 2h, 7d or 4w.")
    return timedelta(**{_UNITS[match[2]]: int(match[1])})
