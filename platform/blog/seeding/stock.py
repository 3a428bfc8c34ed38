"""The pieces that seeded posts are put together from, each rendered once.

Rendering is most of what a post costs. A piece stands for itself: it reads the same and renders the same wherever it
stands, so the HTML of a text made of pieces is that of the pieces. So no piece has footnotes, named references or a
heading of the first level, which reach beyond themselves, and two that would merge, such as lists, never meet.
"""

import tomllib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

from accounts.seeding.wording import Words, phrase, phrases
from blog.markdown import render_comment, render_post

_FOLDER = Path(__file__).parent
_SENTENCES = 9  # of each template
_COMMENTS = 10
_AT_ONCE = 60  # comments have a largest size
_HEADINGS = 60
_BLOCKS = 20


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of Markdown and its HTML."""

    markdown: str
    html: str


@dataclass(frozen=True, slots=True)
class Templates:
    """What the files hold: lists of templates and words that all topics share, and the topics' own."""

    shared: dict[str, Any]
    topics: tuple[dict[str, Any], ...]


@dataclass(frozen=True, slots=True)
class Stock:
    """The pieces of one topic. Sentences are the inside of paragraphs, by their template; the rest are blocks."""

    words: Words
    sentences: Sequence[Sequence[Piece]]
    comments: Sequence[Sequence[Piece]]
    headings: Sequence[Piece]
    blocks: Sequence[Piece]


@cache
def templates() -> Templates:
    """Return the templates and words, read once."""
    shared = tomllib.loads((_FOLDER / "words.toml").read_text(encoding="utf-8"))
    topics = tomllib.loads((_FOLDER / "topics.toml").read_text(encoding="utf-8"))["topic"]
    return Templates(shared, tuple(topics))


def words_of(topic: int) -> Words:
    """Return the words for the slots of a topic's templates."""
    return {**templates().shared, **templates().topics[topic]}


@cache
def stock_of(seed: int, topic: int) -> Stock:
    """Return a topic's pieces; the same ones for the same seed."""
    source = Random(f"{seed}/stock/{topic}")
    shared, own, words = templates().shared, templates().topics[topic], words_of(topic)
    headings = [f"## {text}" for text in phrases(source, shared["headings"], words, _HEADINGS)]
    blocks = [make(source, words) for make in _BLOCK_MAKERS for _ in range(_BLOCKS)]
    blocks += [_code(source, code, words) for code in own.get("code", ()) for _ in range(_BLOCKS)]
    return Stock(
        words,
        sentences=_sentences(source, shared["sentences"] + own["sentences"], words, _SENTENCES, render_post),
        comments=_sentences(source, shared["comments"], words, _COMMENTS, render_comment),
        headings=[Piece(text, render_post(text)) for text in headings],
        blocks=[Piece(text, render_post(text)) for text in dict.fromkeys(blocks)],
    )


def paragraph(sentences: Sequence[Piece]) -> Piece:
    """Return sentences as a paragraph."""
    html = " ".join([piece.html for piece in sentences])
    return Piece(" ".join([piece.markdown for piece in sentences]), f"<p>{html}</p>\n")


def quotation(sentence: str) -> Piece:
    """Return a sentence that is plain text as a quotation."""
    return Piece(f"> {sentence}", f"<blockquote>\n<p>{sentence}</p>\n</blockquote>\n")


def _sentences(
    source: Random, all_templates: Sequence[str], words: Words, count: int, render: Callable[[str], str]
) -> list[list[Piece]]:
    """Return `count` sentences of each template, fewer where there aren't so many, rendered many at a time."""
    by_template = [phrases(source, [template], words, count) for template in all_templates]
    texts = [text for some in by_template for text in some]
    inner = []
    for start in range(0, len(texts), _AT_ONCE):
        html = render("\n\n".join(texts[start : start + _AT_ONCE])).removeprefix("<p>").removesuffix("</p>\n")
        inner += html.split("</p>\n<p>")
    pieces = map(Piece, texts, inner)
    return [[next(pieces) for _ in some] for some in by_template]


def _list(source: Random, words: Words) -> str:
    chosen = source.sample(words["items"], source.randint(3, 6))
    return "\n".join(f"- {phrase(source, item, words)}" for item in chosen)


def _steps(source: Random, words: Words) -> str:
    chosen = source.sample(words["steps"], source.randint(3, 6))
    return "\n".join(f"{number}. {phrase(source, step, words)}" for number, step in enumerate(chosen, 1))


def _quote(source: Random, words: Words) -> str:
    quote, person = phrase(source, source.choice(words["quotes"]), words), source.choice(words["person"])
    return f"> {quote}\n>\n> — {person}"


def _table(source: Random, words: Words) -> str:
    lines = [f"| What, in {words['unit']} | Before | After |", "| --- | ---: | ---: |"]
    for thing in source.sample(words["thing"], source.randint(3, 5)):
        before = source.randint(20, 900)
        lines.append(f"| {thing[0].upper()}{thing[1:]} | {before} | {int(before * source.uniform(0.1, 1.2))} |")
    return "\n".join(lines)


def _code(source: Random, code: dict[str, str], words: Words) -> str:
    return f"```{code['language']}\n{phrase(source, code['text'], words)}\n```"


_BLOCK_MAKERS = (_list, _steps, _quote, _table)
