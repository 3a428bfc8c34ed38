"""What is told of a text beside its words: how long it takes to read, its headings, its first picture."""

import re
from dataclasses import dataclass
from functools import cached_property
from html import unescape

from blog.addressing import absolute
from blog.models import Post

_WORDS_A_MINUTE = 220
# Fewer headings are seen at a glance.
_FEWEST_HEADINGS = 3
# As `blog.markdown` makes them: safe, well-formed, with an id each.
_HEADING = re.compile(r'<h([1-6]) id="([^"<>]+)">(.*?)</h\1>', re.DOTALL)
_FOOTNOTE_MARK = re.compile(r'<sup class="footnote-ref">.*?</sup>')
_TAG = re.compile(r"<[^>]*>")
_PICTURE = re.compile(r'<img src="([^"]+)"')


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading of a text: `anchor` is its id, `is_under` whether it stands below one of the first level."""

    anchor: str
    text: str
    is_under: bool


@dataclass(frozen=True)
class Outline:
    """What is told of a post's text; each is found out when it's asked for."""

    post: Post

    @cached_property
    def minutes(self) -> int:
        """Return how long it takes to read, in whole minutes, one at least."""
        return max(1, round(len(self.post.body_markdown.split()) / _WORDS_A_MINUTE))

    @cached_property
    def headings(self) -> list[Heading]:
        """Return the headings of its two upper levels; none where they are few."""
        found = [(int(level), anchor, _plain(inner)) for level, anchor, inner in _HEADING.findall(self.post.body_html)]
        upper = sorted({level for level, _, _ in found})[:2]
        shown = [
            Heading(unescape(anchor), text, level != upper[0])
            for level, anchor, text in found
            if level in upper and text
        ]
        return shown if len(shown) >= _FEWEST_HEADINGS else []

    @cached_property
    def html(self) -> str:
        """Return the text with a link at each heading that leads to it."""
        link = r'<h\1 id="\2">\3 <a class="anchor" href="#\2" aria-label="Link to this section">#</a></h\1>'
        return _HEADING.sub(link, self.post.body_html)

    @property
    def picture_address(self) -> str:
        """Return where everybody finds that picture."""
        return absolute(self.picture)

    @cached_property
    def picture(self) -> str:
        """Return the address of its first picture; empty where there's none."""
        found = _PICTURE.search(self.post.body_html)
        return unescape(found[1]) if found else ""


def _plain(html: str) -> str:
    return " ".join(unescape(_TAG.sub("", _FOOTNOTE_MARK.sub("", html))).split())
