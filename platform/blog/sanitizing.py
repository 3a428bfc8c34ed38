"""What of HTML reaches a page. Whatever Markdown or raw HTML made, only what is listed here is left of it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from html import unescape
from urllib.parse import unquote

import nh3

from blog.highlighting import CODE_CLASSES

# In front of every id that comes out of a text, so that none can pose as an element of the page around it.
ID_PREFIX = "s-"

_COMMENT_TAGS = {
    "p",
    "br",
    "em",
    "strong",
    "s",
    "del",
    "a",
    "code",
    "pre",
    "blockquote",
    "ul",
    "ol",
    "li",
    "hr",
    "span",
}
_POST_TAGS = _COMMENT_TAGS | {
    *("h1", "h2", "h3", "h4", "h5", "h6", "section", "div", "img", "figure", "figcaption", "details", "summary"),
    *("table", "caption", "thead", "tbody", "tfoot", "tr", "th", "td", "dl", "dt", "dd"),
    *("b", "i", "u", "ins", "mark", "small", "sub", "sup", "abbr", "cite", "dfn", "kbd", "q", "samp", "var", "time"),
}
_COMMENT_ATTRIBUTES: dict[str, set[str]] = {
    "a": {"href", "title"},
    "code": {"class"},
    "span": {"class"},
    "ol": {"start"},
}
_POST_ATTRIBUTES: dict[str, set[str]] = _COMMENT_ATTRIBUTES | {
    "a": {"href", "title", "id", "class"},
    "img": {"src", "alt", "title", "width", "height"},
    **{f"h{level}": {"id"} for level in range(1, 7)},
    "th": {"class", "colspan", "rowspan", "scope"},
    "td": {"class", "colspan", "rowspan"},
    "li": {"id", "class"},
    "sup": {"class"},
    "section": {"class"},
    "hr": {"class"},
    "abbr": {"title"},
    "details": {"open"},
    "time": {"datetime"},
    "ol": {"start", "class"},
}
_CLASSES = {
    "span": CODE_CLASSES,
    "th": {"centre", "right"},
    "td": {"centre", "right"},
    "a": {"footnote-backref"},
    "sup": {"footnote-ref"},
    "section": {"footnotes"},
    "hr": {"footnotes-sep"},
    "ol": {"footnotes-list"},
    "li": {"footnote-item"},
}
_LANGUAGE = re.compile(r"language-[a-z0-9+#.-]{1,30}")
_SCHEMES = {"http", "https", "mailto"}
_DROPPED_WITH_CONTENT = {"script", "style"}


def _filter(tag: str, name: str, value: str) -> str | None:
    if name == "id":
        return ID_PREFIX + value if value else None
    if name == "href" and value.startswith("#") and len(value) > 1:
        return f"#{ID_PREFIX}{value[1:]}"
    if name == "class":
        if tag == "code":
            return value if _LANGUAGE.fullmatch(value) else None
        kept = [word for word in value.split() if word in _CLASSES.get(tag, ())]
        return " ".join(kept) or None
    return value


_POST_CLEANER = nh3.Cleaner(
    tags=_POST_TAGS,
    clean_content_tags=_DROPPED_WITH_CONTENT,
    attributes=_POST_ATTRIBUTES,
    attribute_filter=_filter,
    url_schemes=_SCHEMES,
    link_rel="noopener noreferrer",
)
_COMMENT_CLEANER = nh3.Cleaner(
    tags=_COMMENT_TAGS,
    clean_content_tags=_DROPPED_WITH_CONTENT,
    attributes=_COMMENT_ATTRIBUTES,
    attribute_filter=_filter,
    url_schemes=_SCHEMES,
    link_rel="noopener noreferrer nofollow ugc",
)


def clean_post(html: str) -> str:
    """Return what a post may show of `html`: well-formed, no script, no style, no foreign scheme."""
    return _POST_CLEANER.clean(html)


def clean_comment(html: str) -> str:
    """Return what a comment may show of `html`: text, links, lists, quotes and code."""
    return _COMMENT_CLEANER.clean(html)


_TAG = re.compile(r"<(/?)([a-zA-Z][a-zA-Z0-9]*)")
# Tags that hold nothing, or that the next of their kind closes.
_NOT_NESTING = {"br", "hr", "img", "input", "meta", "link", "wbr", "col", "p", "li", "dt", "dd", "tr", "td", "th"}


def nesting_of(html: str) -> int:
    """Return how deep tags are left open at most: the sanitiser's time grows with the square of it."""
    depth = deepest = 0
    for is_closing, tag in _TAG.findall(html):
        if tag.lower() not in _NOT_NESTING:
            depth = max(0, depth - 1) if is_closing else depth + 1
            deepest = max(deepest, depth)
    return deepest


@dataclass(frozen=True, slots=True)
class Picture:
    """Where an image of a post lies, and how large it is."""

    url: str
    width: int
    height: int


_IMAGE = re.compile(r'<img((?: [a-z]+="[^"]*")*) ?/?>')
_ATTRIBUTE = re.compile(r' ([a-z]+)="([^"]*)"')


def picture_name(source: str) -> str:
    """Return the name of a post's own image, out of a link to it: `./a%20b.png?raw=1` means `a b.png`."""
    return unquote(source.partition("#")[0].partition("?")[0]).removeprefix("./")


def place_pictures(html: str, pictures: Mapping[str, Picture], own_prefix: str) -> str:
    """Return sanitised `html` with each image resolved.

    A name in `pictures` (the post's own images) gets its URL and size. Other images stay where they lie under
    `own_prefix` or come over https; what is left becomes its alternative text, so no page loads from elsewhere.
    """

    def place(match: re.Match[str]) -> str:
        attributes = dict(_ATTRIBUTE.findall(match[1]))
        source = attributes.pop("src", "")
        alt = attributes.pop("alt", "")
        size = {name: _pixels(attributes.pop(name, "")) for name in ("width", "height")}
        title = f' title="{attributes["title"]}"' if "title" in attributes else ""
        if picture := pictures.get(picture_name(unescape(source))):
            url, width, height = picture.url, *_scaled(picture, size["width"], size["height"])
        elif source.startswith("https://") or (source.startswith(own_prefix) and ".." not in source):
            url, width, height = source, size["width"], size["height"]
        else:
            return f'<span class="missing">Image: {alt or "not available"}</span>'
        measures = f' width="{width}" height="{height}"' if width and height else ""
        return f'<img src="{url}" alt="{alt}"{title}{measures} loading="lazy" decoding="async">'

    return _IMAGE.sub(place, html)


def _pixels(text: str) -> int:
    digits = text.removesuffix("px")
    return int(digits) if digits.isascii() and digits.isdigit() and 0 < int(digits[:6]) <= 10_000 else 0


def _scaled(picture: Picture, width: int, height: int) -> tuple[int, int]:
    """Return the size that was asked for, in the picture's own proportions."""
    if width:
        return width, max(1, round(width * picture.height / picture.width))
    if height:
        return max(1, round(height * picture.width / picture.height)), height
    return picture.width, picture.height


def let_scroll(html: str) -> str:
    """Return sanitised `html` with wide things in containers that scroll, by keyboard too."""
    html = html.replace("<table>", '<div class="scroll" tabindex="0"><table>').replace("</table>", "</table></div>")
    return html.replace("<pre>", '<pre tabindex="0">')
