"""The published posts that words are found in, the best first.

However many posts hold the words, the work is bounded: the newest of those that hold them anywhere, and the newest of
those whose title does, are looked at, and put in order by how well they fit and how new they are.
"""

from collections.abc import Collection
from dataclasses import dataclass, field
from html import unescape
from typing import Any

from django.contrib.postgres.search import SearchQuery
from django.db import OperationalError, connection, transaction
from django.db.backends.utils import CursorWrapper
from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe
from psycopg.errors import QueryCanceled

from blog import limits, queries
from blog.models import Post
from blog.search.document import CONFIG

# Around a hit, until the text is escaped; of the texts themselves they are taken out.
_BEGIN, _END = "\ue000", "\ue001"
_MARKS = f"StartSel={_BEGIN}, StopSel={_END}"
# A phrase of common words that nobody wrote is looked for in all posts that have the words.
_TIMEOUT = "1s"
# So many of the newest posts are looked among first.
_POSTS_NEAR = 3_000

_ASKED = f"websearch_to_tsquery('{CONFIG}', %(words)s)"
_IN_TEXT = f"document @@ {_ASKED}"
_IN_TITLE = f"to_tsvector('{CONFIG}', coalesce(title, '')) @@ {_ASKED}"
_NEWEST = "ORDER BY published_at DESC, id DESC"
_PUBLISHED = "status = 'published'"
_TEXT = r"""regexp_replace(
    regexp_replace(body_html, '<\/?(p|li|h[1-6]|t[dhr]|d[dt]|pre|br|div)[^>]*>', ' ', 'g'), '<[^>]*>', '', 'g')"""
_BEGIN_SEARCH = f"""
SELECT (SELECT published_at FROM blog_post WHERE {_PUBLISHED} {_NEWEST} OFFSET %(near)s LIMIT 1),
    set_config('statement_timeout', %(timeout)s, true), set_config('max_parallel_workers_per_gather', '0', true)
"""  # noqa: S608  # nothing of it is from outside
_BY_WORDS = "SELECT set_config('enable_seqscan', 'off', true), set_config('enable_indexscan', 'off', true)"
# Headlines are cut out of the texts of one page's posts alone: they are the dearest part.
_FIND = f"""
WITH ranked AS (
    SELECT id, count(*) OVER () AS count, row_number() OVER (ORDER BY
        ts_rank(document, {_ASKED}, 1) * (1 + 1 / (1 + extract(epoch FROM now() - published_at) / 31557600)) DESC,
        published_at DESC, id DESC) AS place
    FROM blog_post WHERE {_PUBLISHED} AND id = ANY(%(chosen)s)
), page AS (
    SELECT id, count, place FROM ranked
    WHERE place > least(%(skipped)s, (count - 1) / %(size)s * %(size)s) ORDER BY place LIMIT %(size)s
)
SELECT id, count, place, ts_headline('{CONFIG}', translate(title, '{_BEGIN}{_END}', ''), {_ASKED},
        '{_MARKS}, HighlightAll=true'),
    ts_headline('{CONFIG}', translate(left({_TEXT}, %(headline)s), '{_BEGIN}{_END}', ''), {_ASKED},
        '{_MARKS}, MaxFragments=2, MaxWords=28, MinWords=12, FragmentDelimiter=" … "')
FROM page JOIN blog_post USING (id) ORDER BY place
"""  # noqa: S608  # nothing of it is from outside


@dataclass(frozen=True, slots=True)
class Hit:
    """A post with what of its title and text tells that it's one; both are safe HTML."""

    post: Post
    title: SafeString
    piece: SafeString


@dataclass(slots=True)
class Found:
    """A page of a search. `is_more` says that more posts may have the words than were looked at."""

    words: str
    number: int = 1
    count: int = 0
    is_too_broad: bool = False
    hits: list[Hit] = field(default_factory=list)

    @property
    def is_more(self) -> bool:
        """Whether so many were looked at as ever are."""
        return self.count >= limits.POSTS_RANKED

    @property
    def pages(self) -> int:
        """Return how many pages there are, one at least."""
        return max(1, -(-self.count // limits.HITS_PER_PAGE))


def words_of(text: str) -> SearchQuery:
    """Return what was typed as a question to documents: words, "phrases", or, -without."""
    return SearchQuery(text[: limits.QUERY_CHARACTERS], config=CONFIG, search_type="websearch")


def search(words: str, *, number: int = 1) -> Found:
    """Return a page of the published posts that have the words; past the last one, the last."""
    found = Found(" ".join(words.split())[: limits.QUERY_CHARACTERS])
    if not found.words:
        return found
    try:
        rows = _rows(found.words, number)
    except OperationalError as error:
        if not isinstance(error.__cause__, QueryCanceled):
            raise
        found.is_too_broad = True
        return found
    posts = {post.pk: post for post in queries.published_posts().filter(pk__in=[row[0] for row in rows]).order_by()}
    if rows:
        found.count, found.number = rows[0][1], (rows[0][2] - 1) // limits.HITS_PER_PAGE + 1
    found.hits = [Hit(posts[pk], marked(title), marked(_text(piece))) for pk, _, _, title, piece in rows if pk in posts]
    return found


def _rows(words: str, number: int) -> list[tuple[int, int, int, str, str]]:
    size = limits.HITS_PER_PAGE
    values: dict[str, Any] = {
        "words": words,
        "near": _POSTS_NEAR,
        "timeout": _TIMEOUT,
        "most": limits.POSTS_RANKED,
        "size": size,
        "skipped": (min(max(1, number), 2 * limits.POSTS_RANKED) - 1) * size,
        "headline": limits.HEADLINE_CHARACTERS,
    }
    with transaction.atomic(), connection.cursor() as cursor:
        values["chosen"] = _chosen(cursor, values)
        cursor.execute(_FIND, values)
        rows: list[tuple[int, int, int, str, str]] = cursor.fetchall()
    return rows


def _chosen(cursor: CursorWrapper, values: dict[str, Any]) -> list[int]:
    """Return the newest posts that have the words anywhere, and the newest that have them in the title.

    Among the newest of all there are enough where a word is frequent. Where there aren't, few of all posts have it,
    and PostgreSQL is to ask its index of words: left to itself it reads thousands of posts from the newest one on,
    since it takes unpacking a document for as cheap as adding two numbers.
    """
    cursor.execute(_BEGIN_SEARCH, values)
    values["since"] = cursor.fetchone()[0]
    found: dict[str, list[int]] = {_IN_TEXT: [], _IN_TITLE: []}
    if values["since"]:
        found = _newest(cursor, found, f"{_PUBLISHED} AND published_at >= %(since)s", values)
    rare = [held for held, posts in found.items() if len(posts) < limits.POSTS_RANKED]
    if rare:
        cursor.execute(_BY_WORDS)
        found |= _newest(cursor, rare, _PUBLISHED, values)
    return [pk for posts in found.values() for pk in posts]


def _newest(cursor: CursorWrapper, held: Collection[str], where: str, values: dict[str, Any]) -> dict[str, list[int]]:
    """Return the newest posts for each condition in `held`, in one question."""
    parts = [f"ARRAY(SELECT id FROM blog_post WHERE {where} AND {one} {_NEWEST} LIMIT %(most)s)" for one in held]  # noqa: S608
    cursor.execute(f"SELECT {', '.join(parts)}", values)
    return dict(zip(held, cursor.fetchone(), strict=True))


def _text(html: str) -> str:
    return " ".join(unescape(html).split())


def marked(text: str) -> SafeString:
    """Return plain `text` as HTML, escaped, with each hit in a `<mark>`."""
    before, *hits = text.split(_BEGIN)
    html: list[str] = [escape(before.replace(_END, ""))]
    for hit in hits:
        inside, _, after = hit.partition(_END)
        html.append(f"<mark>{escape(inside)}</mark>{escape(after.replace(_END, ''))}")
    return mark_safe("".join(html))  # noqa: S308  # each part is escaped
