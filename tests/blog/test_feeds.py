"""Feeds and maps for programs: well-formed, with addresses that hold for everybody, and nothing hidden in them."""

from datetime import timedelta
from typing import Any
from xml.etree import ElementTree

import pytest
from django.test import Client
from django.utils import timezone

from accounts.models import User
from blog import actions
from blog.models import Category, Post
from blog.views import sitemaps

pytestmark = pytest.mark.django_db
ATOM = {"a": "http://www.w3.org/2005/Atom"}
MAP = {"m": "http://www.sitemaps.org/schemas/sitemap/0.9"}


@pytest.fixture(autouse=True)
def _public(settings: Any) -> None:
    settings.PUBLIC_URL = "https://glass.example/"


def parsed(client: Client, path: str) -> ElementTree.Element:
    response = client.get(path)
    assert response.status_code == 200, path
    return ElementTree.fromstring(response.content)  # noqa: S314  # our own


@pytest.fixture
def shelved(author: User, other_author: User) -> Post:
    Category.objects.create(name="Glass", slug="glass", description="What is clear.")
    made = actions.create_post(
        actor=author, title="Tom & <Jerry>\x01", body="A *short* post.", category="glass", tags=["C++", "clear"]
    )
    made.coauthors.add(other_author)
    return actions.publish_post(made, actor=author)


@pytest.mark.parametrize(
    ("path", "title"),
    [
        ("/blog/", "Glasshouse"),
        ("/blog/category/glass/", "Glass · Glasshouse"),
        ("/blog/tag/clear/", "clear · Glasshouse"),
        ("/blog/author/anna/", "Anna · Glasshouse"),
        ("/blog/author/otto/", "Otto · Glasshouse"),
    ],
)
def test_the_blog_and_each_shelf_have_feeds_in_both_forms(
    client: Client, shelved: Post, draft: Post, path: str, title: str
) -> None:
    rss = parsed(client, f"{path}rss.xml")
    assert rss.findtext("channel/title") == title
    assert rss.findtext("channel/link") == f"https://glass.example{path}"
    (item,) = rss.findall("channel/item")
    assert item.findtext("title") == "Tom & <Jerry>"
    assert item.findtext("link") == "https://glass.example/blog/tom-jerry/"
    assert item.findtext("description") == "A short post."
    assert [one.text for one in item.findall("category")] == ["Glass", "C++", "clear"]
    atom = parsed(client, f"{path}atom.xml")
    (entry,) = atom.findall("a:entry", ATOM)
    assert entry.findtext("a:author/a:name", namespaces=ATOM) == "Anna, Otto"
    assert entry.findtext("a:id", namespaces=ATOM) == f"urn:glasshouse:blog.post:{shelved.pk}"
    links = {one.get("rel"): one.get("href") for one in atom.findall("a:link", ATOM)}
    assert links["self"] == f"https://glass.example{path}atom.xml"


@pytest.mark.parametrize("path", ["category/none", "tag/none", "author/none", "author/rob"])
def test_shelves_that_are_not_known_have_none(client: Client, shelved: Post, reader: User, path: str) -> None:
    assert client.get(f"/blog/{path}/rss.xml").status_code == 404


def test_a_feed_has_the_newest_posts_first_and_is_found_from_the_page(client: Client, author: User) -> None:
    for number in range(25):
        made = actions.publish_post(actions.create_post(actor=author, title=f"No. {number}", body="x"), actor=author)
        Post.objects.filter(pk=made.pk).update(published_at=timezone.now() - timedelta(days=number))
    items = parsed(client, "/blog/rss.xml").findall("channel/item")
    assert [item.findtext("title") for item in items] == [f"No. {number}" for number in range(20)]
    for page, feed in (("/", "/blog/"), ("/blog/", "/blog/"), ("/blog/author/anna/", "/blog/author/anna/")):
        assert "application/atom+xml" in (html := client.get(page).content.decode())
        assert f'href="{feed}atom.xml"' in html


@pytest.mark.django_db(transaction=True)
def test_who_has_a_feed_already_is_told_that_nothing_changed(client: Client, shelved: Post, author: User) -> None:
    first = client.get("/blog/atom.xml")
    again = client.get("/blog/atom.xml", headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
    actions.update_post(shelved, actor=author, title="Another")
    changed = client.get("/blog/atom.xml", headers={"If-None-Match": first.headers["ETag"]})
    assert changed.status_code == 200
    assert b"Another" in changed.content


def test_the_map_leads_to_every_page_and_to_no_draft(
    client: Client, shelved: Post, draft: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sitemaps, "POSTS_A_MAP", 2)
    for number in range(2):
        actions.publish_post(
            actions.create_post(actor=shelved.author, title=f"No. {number}", body="x"), actor=shelved.author
        )
    maps = [one.text or "" for one in parsed(client, "/sitemap.xml").findall("m:sitemap/m:loc", MAP)]
    assert len(maps) == 3
    places = [
        place.text or ""
        for address in maps
        for place in parsed(client, address.removeprefix("https://glass.example")).findall("m:url/m:loc", MAP)
    ]
    assert len(places) == len(set(places))
    paths = {place.removeprefix("https://glass.example") for place in places}
    assert paths == {
        *("/", "/blog/", "/blog/category/glass/", "/blog/tag/c-plus-plus/", "/blog/tag/clear/"),
        *("/blog/author/anna/", "/blog/author/otto/", "/blog/tom-jerry/", "/blog/no-0/", "/blog/no-1/"),
    }
    assert all(client.get(path).status_code == 200 for path in paths)
    assert client.get("/sitemap/posts-3.xml").status_code == 404
    assert client.get("/sitemap/posts-0.xml").status_code == 404


def test_an_empty_blog_has_a_map(client: Client) -> None:
    assert len(parsed(client, "/sitemap.xml")) == 1


def test_crawlers_are_told_what_to_leave_alone_and_where_the_map_is(client: Client) -> None:
    response = client.get("/robots.txt")
    assert response.headers["Content-Type"].startswith("text/plain")
    text = response.content.decode()
    assert "Sitemap: https://glass.example/sitemap.xml" in text
    for path in ("/admin/", "/api/", "/blog/search/"):
        assert f"Disallow: {path}\n" in text
