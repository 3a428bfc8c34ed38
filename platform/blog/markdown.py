"""Markdown to HTML that is safe to put on a page, done once at each write.

Posts may hold raw HTML, tables, footnotes and images; comments are text, links, lists, quotes and code. Both end in
`blog.sanitizing`, whatever the parser let through.
"""

from collections.abc import Mapping
from html import unescape
from re import compile as re_compile

from django.conf import settings
from django.utils.text import Truncator, slugify
from markdown_it import MarkdownIt
from markdown_it.rules_core import StateCore
from markdown_it.token import Token
from mdit_py_plugins.footnote import footnote_plugin

from blog import limits
from blog.errors import InvalidError
from blog.highlighting import highlight_code, language_of
from blog.sanitizing import Picture, clean_comment, clean_post, let_scroll, nesting_of, place_pictures

_DEEPEST_NESTING = 20
_DEEPEST_HTML = 200
_TAG = re_compile(r"<[^>]*>")
_ALIGNMENTS = {"text-align:center": "centre", "text-align:right": "right"}


def render_post(text: str, pictures: Mapping[str, Picture] | None = None) -> str:
    """Return a post's Markdown as safe HTML, its images taken from `pictures` by name.

    Raises:
        InvalidError: the text is empty, too large, nested too deeply or holds a NUL.
    """
    return with_pictures(clean_html_of(text), pictures or {})


def with_pictures(html: str, pictures: Mapping[str, Picture]) -> str:
    """Return what `clean_html_of` gave as it's shown, its images taken from `pictures` by name."""
    return let_scroll(place_pictures(html, pictures, settings.MEDIA_URL))


def render_comment(text: str) -> str:
    """Return a comment's Markdown as safe HTML.

    Raises:
        InvalidError: the text is empty, too large or holds a NUL.
    """
    require_size(text, limits.COMMENT_BYTES, field="body")
    return let_scroll(clean_comment(_COMMENTS.render(text)))


def excerpt_of(html: str) -> str:
    """Return the start of the first paragraph of rendered `html` as plain text."""
    start = html.find("<p>")
    while start >= 0:
        end = html.find("</p>", start)
        text = " ".join(unescape(_TAG.sub("", html[start:end])).split())
        if text:
            return Truncator(text).chars(limits.EXCERPT_CHARACTERS)
        start = html.find("<p>", start + 3)
    return ""


def may_have_images(text: str) -> bool:
    """Return whether a post's Markdown can have images: most have none, and parsing is the dearest part."""
    return "![" in text or "<img" in text.lower()


def image_names(html: str) -> list[str]:
    """Return the sources of all images in what `clean_html_of` gave, raw HTML included, each once, in order."""
    return list(dict.fromkeys(unescape(source) for source in _IMAGE_SOURCE.findall(html)))


_IMAGE_SOURCE = re_compile(r'<img(?: (?!src)[a-z]+="[^"]*")* src="([^"]*)"')


def clean_html_of(text: str) -> str:
    """Return a post's Markdown as safe HTML, its images as the text names them: what is dear of `render_post`.

    Raises:
        InvalidError: as `render_post`.
    """
    require_size(text, limits.BODY_BYTES, field="body")
    html = _POSTS.render(text)
    if nesting_of(html) > _DEEPEST_HTML:
        raise InvalidError(body=f"Its HTML is nested more than {_DEEPEST_HTML} deep; close what is open.")
    return clean_post(html)


def require_size(text: str, most_bytes: int, *, field: str) -> None:
    """Raise `InvalidError` on `field` unless `text` says something within `most_bytes` that PostgreSQL can hold."""
    if not text.strip():
        raise InvalidError(**{field: "This may not be empty."})
    if "\x00" in text:
        raise InvalidError(**{field: "This holds a NUL character; remove it."})
    size = len(text.encode("utf-8", "surrogatepass"))
    if size > most_bytes:
        raise InvalidError(**{field: f"This is {size:,} bytes long; at most {most_bytes:,} are accepted."})


def _tidy(state: StateCore) -> None:
    """Demote headings where the text uses the first level, which is the page's title; align cells by class."""
    has_first_level = any(token.type == "heading_open" and token.tag == "h1" for token in state.tokens)
    for token in state.tokens:
        if has_first_level and token.type in ("heading_open", "heading_close"):
            token.tag = f"h{min(int(token.tag[1]) + 1, 6)}"
        elif alignment := _ALIGNMENTS.get(str(token.attrs.pop("style", ""))):  # cells alone have one
            token.attrSet("class", alignment)


def _name_headings(state: StateCore) -> None:
    """Give each heading an id made from its words, so that links can point at it."""
    seen: dict[str, int] = {}
    for opening, content in zip(state.tokens, state.tokens[1:], strict=False):
        if opening.type == "heading_open":
            words = "".join(child.content for child in content.children or () if child.type in ("text", "code_inline"))
            name = slugify(words)[:80] or "section"
            seen[name] = seen.get(name, 0) + 1
            opening.attrSet("id", name if seen[name] == 1 else f"{name}-{seen[name]}")


def _fence(tokens: list[Token], index: int) -> str:
    token = tokens[index]
    language = language_of(token.info)
    opening = f'<code class="language-{language}">' if language.isalnum() else "<code>"
    return f"<pre>{opening}{highlight_code(token.content, token.info)}</code></pre>\n"


def _parser_of_posts() -> MarkdownIt:
    parser = MarkdownIt("commonmark", {"html": True, "maxNesting": _DEEPEST_NESTING})
    parser.enable(["table", "strikethrough"])
    parser.use(footnote_plugin)
    parser.core.ruler.push("tidy", _tidy)
    parser.core.ruler.push("name_headings", _name_headings)
    parser.add_render_rule("fence", lambda self, tokens, index, options, env: _fence(tokens, index))
    return parser


def _parser_of_comments() -> MarkdownIt:
    parser = MarkdownIt("commonmark", {"html": False, "maxNesting": _DEEPEST_NESTING})
    parser.enable("strikethrough").disable(["image", "heading", "lheading", "html_block", "html_inline", "reference"])
    parser.add_render_rule("fence", lambda self, tokens, index, options, env: _fence(tokens, index))
    return parser


_POSTS = _parser_of_posts()
_COMMENTS = _parser_of_comments()
