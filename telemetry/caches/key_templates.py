"""What may be told of a cache key: its fixed words. A key itself may hold anybody's name, address or session.

A word of code can't be told from a person's name with certainty, so that doubt goes against the key. Words stay that
have only small or only capital letters, and only in keys where something else plainly varies: numbers, UUIDs, digests.
Of a key made of words alone the first one stays. Many different words in one place are values as well.
"""

import re
from functools import lru_cache
from typing import Any

OTHER = "_OTHER"
_MOST_TEMPLATES = 200
_MOST_WORDS = 20  # in one place
_MOST_PARTS = 6
_LONGEST_KEY = 250

_UUID = "[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}"
_VALUE = re.compile(rf"{_UUID}|[^:/|\s]*@[^:/|\s]*")  # what separators would take apart
_SEPARATOR = re.compile("([:/|.])")
_WORD = re.compile("(?![a-f]{8,}$)[a-z]{0,24}(?:[_-][a-z]{1,24})*|[A-Z]{1,24}(?:[_-][A-Z]{1,24})*")
_NUMBERED = re.compile(r"([a-z]{1,24}(?:[_-][a-z]{1,24})*[_-])(?:\d+|[0-9a-f]{8,}|\*)")
_FIRST_WORD = re.compile("(?:[a-z]{1,24}|[A-Z]{1,24})[:/|._-]")
_REPEATED = re.compile(r"\*(?:[:/|.]?\*)+")

_templates: set[str] = set()
_words: dict[str, set[str]] = {}  # those seen so far, by what stands before them


def template_of(key: Any) -> str:
    """Return `key` with everything that varies as `*`, such as `blog:post:*`; `_OTHER` beyond 200 of them."""
    return _template((key if isinstance(key, str) else str(key))[:_LONGEST_KEY])


@lru_cache(maxsize=4_096)
def _template(key: str) -> str:
    template = _without_values(key)
    if template not in _templates:
        if len(_templates) >= _MOST_TEMPLATES:
            return OTHER
        _templates.add(template)
    return template


def _without_values(key: str) -> str:
    parts = _SEPARATOR.split(_VALUE.sub("*", key))
    if all(map(_WORD.fullmatch, parts[::2])):
        first = _FIRST_WORD.match(key)
        return f"{first[0]}*" if first else key
    template = ""
    for place, part in enumerate(parts):
        if place >= 2 * _MOST_PARTS:
            template += "*"
            break
        template += part if place % 2 else _told(part, template)
    return _REPEATED.sub("*", template)


def _told(part: str, before: str) -> str:
    numbered = _NUMBERED.fullmatch(part)
    word = numbered[1] if numbered else part
    if (numbered or _WORD.fullmatch(part)) and _is_fixed(word, before):
        return f"{word}*" if numbered else word
    return "*"


def _is_fixed(word: str, before: str) -> bool:
    if not word:
        return True
    known = _words.get(before, set())
    if word in known:
        return True
    if len(_templates) >= _MOST_TEMPLATES or (before and len(known) >= _MOST_WORDS):
        return False
    _words.setdefault(before, set()).add(word)
    return True
