"""What a PromQL expression names."""

import re

_STRINGS = re.compile(r'"(?:[^"\\]|\\.)*"|\'(?:[^\'\\]|\\.)*\'')
_MATCHERS = re.compile(r"\{[^}]*\}")
_LABELS = re.compile(r"\b(?:by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)")
_RANGES = re.compile(r"\[[^\]]*\]")
_OFFSETS = re.compile(r"\boffset\s+-?\w+")
_NAMES = re.compile(r"(?<![\w:.$])[a-zA-Z_:][\w:]*(?!\w|\s*\()")
_WORDS = {"and", "or", "unless", "bool", "inf", "nan", "by", "without", "on", "ignoring", "group_left", "group_right"}
_NUMBER_SUFFIX = re.compile(r"^\d")


def metrics_in(expression: str) -> set[str]:
    """Return the names of the metrics that an expression reads."""
    for pattern in (_STRINGS, _MATCHERS, _LABELS, _RANGES, _OFFSETS):
        expression = pattern.sub(" ", expression)
    names = {name for name in _NAMES.findall(expression) if not _NUMBER_SUFFIX.match(name)}
    return {name for name in names if name.lower() not in _WORDS}
