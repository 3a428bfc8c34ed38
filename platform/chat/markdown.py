"""Markdown of messages to HTML that is safe to put on a page, done once at each write.

Text, emphasis, links, lists, quotes and code; no images, headings or raw HTML. A line's end is one on the page too.
Addresses become links by themselves, and `@names` of people who are meant stand in a `<span class="mention">`.
"""

import re
from collections.abc import Mapping
from html import escape

import nh3
from markdown_it import MarkdownIt
from markdown_it.token import Token

_DEEPEST_NESTING = 20
_TAGS = {"p", "br", "em", "strong", "s", "a", "code", "pre", "blockquote", "ul", "ol", "li", "hr", "span"}
_WORDS = re.compile(
    r"""(?P<url>https?://[^\s<>"']{1,2000}[^\s<>"'.,;:!?)\]*_~])|(?<![\w@/.])@(?P<name>[\w.+-]{1,150})""", re.ASCII
)
_CLEANER = nh3.Cleaner(
    tags=_TAGS,
    attributes={"a": {"href", "title"}, "ol": {"start"}, "span": {"class", "data-user"}},
    attribute_filter=lambda tag, name, value: None if name == "class" and value != "mention" else value,
    url_schemes={"http", "https", "mailto"},
    link_rel="noopener noreferrer nofollow ugc",
)


def names_in(text: str) -> list[str]:
    """Return the names that follow an `@`, each once, with and without what may be a sentence's end."""
    found: dict[str, None] = {}
    for match in _WORDS.finditer(text):
        if name := match["name"]:
            found[name] = None
            found[name.rstrip(".-+")] = None
    return [name for name in found if name]


def render_message(text: str, people: Mapping[str, int] | None = None) -> str:
    """Return a message's Markdown as safe HTML; `people` are the ids of those who are meant, by their names."""
    html: str = _PARSER.render(text, {"people": people or {}})
    return _CLEANER.clean(html).strip()


def _text(tokens: list[Token], index: int, people: Mapping[str, int]) -> str:
    text = tokens[index].content
    is_linked = any(token.type == "link_open" for token in tokens[:index]) and _is_in_link(tokens, index)
    written: list[str] = []
    end = 0
    for match in _WORDS.finditer(text):
        made = "" if is_linked else _link(match["url"]) if match["url"] else _mention(match["name"], people)
        if made:
            written += [escape(text[end : match.start()]), made]
            end = match.end()
    return "".join([*written, escape(text[end:])])


def _is_in_link(tokens: list[Token], index: int) -> bool:
    depth = sum((token.type == "link_open") - (token.type == "link_close") for token in tokens[:index])
    return depth > 0


def _link(url: str) -> str:
    return f'<a href="{escape(url)}">{escape(url)}</a>'


def _mention(name: str, people: Mapping[str, int]) -> str:
    for called in (name, name.rstrip(".-+")):
        if called in people:
            tail = escape(name[len(called) :])
            return f'<span class="mention" data-user="{people[called]}">@{escape(called)}</span>{tail}'
    return ""


def _parser() -> MarkdownIt:
    parser = MarkdownIt("commonmark", {"html": False, "breaks": True, "maxNesting": _DEEPEST_NESTING})
    parser.enable("strikethrough").disable(["image", "heading", "lheading", "html_block", "html_inline", "reference"])
    parser.add_render_rule("text", lambda self, tokens, index, options, env: _text(tokens, index, env["people"]))
    return parser


_PARSER = _parser()
