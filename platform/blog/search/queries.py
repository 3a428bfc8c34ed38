"""The published posts that words are found in, the best first.

However many posts hold the words, the work is bounded: the newest of those that hold them anywhere, and the newest of
those whose title does, are looked at, and put in order by how well they fit and how new they are.
"""

from dataclasses import dataclass, field
from html import unescape

from django.contrib.postgres.search import SearchQuery
from django.db import OperationalError, connection, transaction
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

_NEWEST = "ORDER BY published_at DESC, id DESC LIMIT %(most)s"
_ASKED = f"websearch_to_tsquery('{CONFIG}', %(words)s)"
_TEXT = r"""regexp_replace(
    regexp_replace(body_html, '<\/?(p|li|h[1-6]|t[dhr]|d[dt]|pre|br|div)[^>]*>', ' ', 'g'), '<[^>]*>', '', 'g')"""
# Headlines are cut out of the texts of one page's posts alone: they are the dearest part.
_FIND = f"""
WITH chosen AS (
    (SELECT id FROM blog_post WHERE status = 'published' AND document @@ {_ASKED} {_NEWEST})
    UNION
    (SELECT id FROM blog_post
     WHERE status = 'published' AND to_tsvector('{CONFIG}', coalesce(title, '')) @@ {_ASKED} {_NEWEST})
), ranked AS (
    SELECT id, count(*) OVER () AS count, row_number() OVER (ORDER BY
        ts_rank(document, {_ASKED}, 1) * (1 + 1 / (1 + extract(epoch FROM now() - published_at) / 31557600)) DESC,
        published_at DESC, id DESC) AS place
    FROM blog_post WHERE id IN (SELECT id FROM chosen)
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
    values: dict[str, str | int] = {
        "words": words,
        "most": limits.POSTS_RANKED,
        "size": size,
        "skipped": (min(max(1, number), 2 * limits.POSTS_RANKED) - 1) * size,
        "headline": limits.HEADLINE_CHARACTERS,
    }
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT set_config('statement_timeout', %s, true)", [_TIMEOUT])
        cursor.execute(_FIND, values)
        rows: list[tuple[int, int, int, str, str]] = cursor.fetchall()
    return rows


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
