"""Sentences out of templates: `The {thing} was {quality}.`"""

import re
from collections.abc import Mapping, Sequence
from random import Random

Words = Mapping[str, Sequence[str]]

_SLOT = re.compile(r"\{(\w+)\}")
_ARTICLE = re.compile(r"\b([Aa]) (?=[aeio])")


def phrase(source: Random, template: str, words: Words) -> str:
    """Return `template` with a word in each slot, no word twice, beginning with a capital letter.

    Raises:
        KeyError: a slot has a name that `words` lacks.
    """
    used: set[str] = set()

    def fill(slot: re.Match[str]) -> str:
        choices = words[slot[1]]
        word = source.choice(choices)
        while word in used and len(choices) > len(used):
            word = source.choice(choices)
        used.add(word)
        return word

    text = _ARTICLE.sub(r"\1n ", _SLOT.sub(fill, template))
    return text[0].upper() + text[1:]


def phrases(source: Random, templates: Sequence[str], words: Words, count: int) -> list[str]:
    """Return up to `count` different phrases, all templates used alike; fewer where no more can be made."""
    made: dict[str, None] = {}
    for attempt in range(2 * count):
        made[phrase(source, templates[attempt % len(templates)], words)] = None
        if len(made) == count:
            break
    return list(made)
