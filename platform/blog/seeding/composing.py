"""A post and what is said of it, made of nothing but a seed and a number: the hundredth of a thousand is the hundredth
of a hundred."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from math import gcd
from random import Random

from django.urls import reverse

from accounts.models import User
from accounts.seeding.wording import phrase
from blog.markdown import render_post
from blog.models import Status
from blog.seeding.stock import Piece, Stock, paragraph, quotation, stock_of, templates, words_of
from blog.slugs import slug_of

_YEARS = timedelta(days=2_900)
_DRAFTS = 0.08
_MOST_COMMENTS = 500
_MARKUP = frozenset("*_`[<&>\\")


@dataclass(frozen=True, slots=True)
class Plan:
    """What is decided of a post before a word of it is written.

    `author` counts the people from 0, `topic` the topics. A post that isn't published is a draft, or in review.
    """

    number: int
    topic: int
    author: int
    subject: str
    title: str
    slug: str
    tags: tuple[str, ...]
    status: Status
    created_at: datetime
    published_at: datetime | None
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Said:
    """A comment; `author` counts the people from 0."""

    author: int
    said_at: datetime
    piece: Piece


@dataclass(frozen=True, slots=True)
class Blog:
    """All that the content depends on.

    Dates end at `until`. All `people` comment; the first `writers` of them write.
    """

    seed: int
    people: Sequence[User]
    writers: int
    until: datetime
    comments_per_post: float

    def source_of(self, number: int) -> Random:
        """Return the chance that makes post `number`: first its plan, then its text, then its comments."""
        return Random(f"{self.seed}/post/{number}")

    def plan(self, number: int, source: Random | None = None) -> Plan:
        """Return what post `number` will be."""
        source = source or self.source_of(number)
        topic = source.randrange(len(templates().topics))
        words = words_of(topic)
        subject = source.choice(words["thing"])
        title = phrase(source, source.choice(words["titles"]), {**words, "subject": (subject,)})
        # More and more are written as the years go by; a few people write most of them.
        day = self.until - timedelta(days=1) - (1 - source.random() ** 0.6) * _YEARS
        written_at = day.replace(hour=0, minute=0) + timedelta(hours=source.triangular(6, 22, 10))
        created_at = written_at - timedelta(days=source.expovariate(1 / 3))
        status = Status.PUBLISHED
        if source.random() < _DRAFTS:
            status = Status.REVIEW if source.random() < 0.2 else Status.DRAFT
        is_revised = source.random() < 0.2
        updated_at = written_at + (self.until - written_at) * source.random() * 0.2 if is_revised else written_at
        return Plan(
            number=number,
            topic=topic,
            author=int(self.writers * source.random() ** 2),
            subject=subject,
            title=title,
            slug=f"{slug_of(title)}-{number}",
            tags=tuple(source.sample(words["things"], source.choice((0, 0, 1, 1, 1, 2, 3)))),
            status=status,
            created_at=created_at,
            published_at=written_at if status == Status.PUBLISHED else None,
            updated_at=updated_at,
        )

    def text(self, plan: Plan, source: Random) -> tuple[str, str, str, str]:
        """Return description, lead, Markdown and HTML of a planned post."""
        stock = stock_of(self.seed, plan.topic)
        words = {**stock.words, "subject": (plan.subject,)}
        description = phrase(source, source.choice(words["descriptions"]), words) if source.random() < 0.7 else ""
        lead = phrase(source, source.choice(words["leads"]), words)
        pieces = [Piece(lead, f"<p>{lead}</p>\n"), *_body(stock, source)]
        if plan.number > 1 and source.random() < 0.25:
            earlier = self.plan(source.randrange(1, plan.number))
            if earlier.published_at:
                pieces.append(_link_to(earlier))
        markdown = "\n\n".join([piece.markdown for piece in pieces])
        return description, lead, markdown, "".join([piece.html for piece in pieces])

    def comments(self, plan: Plan, source: Random) -> list[Said]:
        """Return what is said of a planned post, in order: of most little, of a few a great deal."""
        published_at = plan.published_at
        if published_at is None:
            return []
        expected = self.comments_per_post * (source.paretovariate(2) - 1)  # on average comments_per_post
        count = min(int(expected + source.random()), _MOST_COMMENTS)
        times = sorted(self._time_after(published_at, source) for _ in range(count))
        stock = stock_of(self.seed, plan.topic)
        said: list[Said] = []
        for said_at in times:
            author = int(len(self.people) * source.random() ** 1.5)
            if author == plan.author:  # who only answers
                author = (author + 1) % len(self.people)
            pieces = [paragraph(_some(source, stock.comments, source.choice((1, 1, 1, 2, 2, 3))))]
            chance = source.random()
            if chance < 0.1:
                quoted = _some(source, stock.sentences, 1)[0].markdown
                if _MARKUP.isdisjoint(quoted):
                    pieces.insert(0, quotation(quoted))
            elif chance < 0.3 and said and said[-1].author != plan.author:
                author = plan.author
                name = self.people[said[-1].author].name.partition(" ")[0]
                reply = phrase(source, source.choice(stock.words["replies"]), {**stock.words, "name": (name,)})
                pieces = [Piece(reply, f"<p>{reply}</p>\n")]
            markdown = "\n\n".join([piece.markdown for piece in pieces])
            said.append(Said(author, said_at, Piece(markdown, "".join([piece.html for piece in pieces]))))
        return said

    def _time_after(self, moment: datetime, source: Random) -> datetime:
        """Return when somebody answers: most within days, some after months, all before the end."""
        days = source.expovariate(1 / 2) if source.random() < 0.8 else source.expovariate(1 / 150)
        later = moment + timedelta(days=days)
        return later if later < self.until else moment + (self.until - moment) * source.random()


def _body(stock: Stock, source: Random) -> list[Piece]:
    """Return what follows the lead: a few paragraphs, or sections with headings, lists, quotations, code and tables."""
    sections = source.choice((0, 0, 0, 0, 1, 1, 1, 2, 2, 3, 4, 7))
    headings = source.sample(stock.headings, sections)
    sentences = _sentences(source, stock)
    pieces = _paragraphs(sentences, source, source.randint(1, 3))
    for heading in headings:
        pieces.append(heading)
        pieces += _paragraphs(sentences, source, source.randint(1, 2))
        if source.random() < 0.6:
            pieces.append(source.choice(stock.blocks))
            pieces += _paragraphs(sentences, source, 1)
    return pieces


def _sentences(source: Random, stock: Stock) -> Iterator[Piece]:
    """Give sentences without end, none like another before all kinds have been used."""
    kinds = stock.sentences
    count = len(kinds)
    place, step = source.randrange(count), source.randrange(1, count)
    while gcd(step, count) > 1:  # else the steps would miss some
        step = source.randrange(1, count)
    while True:
        place = (place + step) % count
        yield kinds[place][int(source.random() * len(kinds[place]))]


def _some(source: Random, by_template: Sequence[Sequence[Piece]], count: int) -> list[Piece]:
    """Return `count` sentences, each of another template."""
    chance = source.random
    return [some[int(chance() * len(some))] for some in source.sample(by_template, count)]


def _paragraphs(sentences: Iterator[Piece], source: Random, count: int) -> list[Piece]:
    return [paragraph([next(sentences) for _ in range(int(2 + 4 * source.random()))]) for _ in range(count)]


@cache
def _link_template() -> Piece:
    markdown = f"Some of this began with [TITLE]({reverse('blog:post', args=['SLUG'])}), which I still stand by."
    return Piece(markdown, render_post(markdown))


def _link_to(plan: Plan) -> Piece:
    markdown, html = (
        text.replace("TITLE", plan.title).replace("SLUG", plan.slug)
        for text in (_link_template().markdown, _link_template().html)
    )
    return Piece(markdown, html)
