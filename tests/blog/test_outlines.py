"""What pages tell of a post beside its text: its contents, how long it takes, and what others show of a link to it."""

from typing import Any

import pytest
from django.test import Client

from accounts.models import User
from blog import actions
from blog.models import Image, Post
from blog.outlines import Heading, Outline

pytestmark = pytest.mark.django_db
LONG = "\n\n".join(["Intro.", "## One & *two*[^1]", "a", "### Under", "b", "#### Deep", "c", "## `Last`", "[^1]: N."])


@pytest.fixture(autouse=True)
def _public(settings: Any) -> None:
    settings.PUBLIC_URL = "https://glass.example/"


def publish(author: User, body: str, **values: Any) -> Post:
    made = actions.create_post(actor=author, title="T & <t>", body=body, **values)
    return actions.publish_post(made, actor=author)


def test_the_contents_are_the_two_upper_levels(author: User) -> None:
    assert Outline(publish(author, LONG)).headings == [
        Heading("s-one-two", "One & two", is_under=False),
        Heading("s-under", "Under", is_under=True),
        Heading("s-last", "Last", is_under=False),
    ]


@pytest.mark.parametrize("body", ["x", "## One\n\nx\n\n## Two", "<h2>a</h2><h2>b</h2><h2>c</h2>"])
def test_a_text_with_few_headings_has_no_contents(author: User, client: Client, body: str) -> None:
    post = publish(author, body)
    assert Outline(post).headings == []
    assert '<nav aria-label="Contents">' not in client.get(post.get_absolute_url()).content.decode()


def test_a_page_shows_contents_and_links_at_headings(author: User, client: Client) -> None:
    page = client.get(publish(author, LONG).get_absolute_url()).content.decode()
    assert '<li class="under"><a href="#s-under">Under</a></li>' in page
    assert '<a href="#s-one-two">One &amp; two</a>' in page
    assert (
        '<h3 id="s-under">Under <a class="anchor" href="#s-under" aria-label="Link to this section">#</a></h3>' in page
    )
    assert "1 min to read" in page


@pytest.mark.parametrize(("words", "minutes"), [(1, 1), (220, 1), (700, 3), (2_200, 10)])
def test_a_text_takes_its_time(author: User, words: int, minutes: int) -> None:
    assert Outline(publish(author, "word " * words)).minutes == minutes


def test_a_link_to_a_post_shows_what_it_is(author: User, client: Client) -> None:
    post = publish(author, "A short post.\n\n![x](a.png)")
    Image.objects.create(post=post, name="a.png", file="blog/aa/a.png", width=4, height=3, checksum_sha256="x")
    post = actions.update_post(post, actor=author, body="A short post.\n\n![x](a.png) now")
    page = client.get(post.get_absolute_url()).content.decode()
    assert '<link rel="canonical" href="https://glass.example/blog/t-t/">' in page
    assert '<meta property="og:title" content="T &amp; &lt;t&gt;">' in page
    assert '<meta property="og:description" content="A short post.">' in page
    assert '<meta property="og:type" content="article">' in page
    assert '<meta property="og:image" content="https://glass.example/media/blog/aa/a.png">' in page


def test_a_drafts_page_offers_nothing_to_others(author: User, draft: Post, client: Client) -> None:
    client.force_login(author)
    page = client.get(draft.get_absolute_url()).content.decode()
    assert "og:title" not in page
    assert '<meta name="robots" content="noindex">' in page


@pytest.mark.parametrize("path", ["/", "/blog/", "/blog/author/anna/"])
def test_lists_say_where_they_are(author: User, client: Client, path: str) -> None:
    publish(author, "x")
    page = client.get(f"{path}?utm_source=elsewhere", headers={"Host": "testserver"}).content.decode()
    assert f'<link rel="canonical" href="https://glass.example{path}">' in page
