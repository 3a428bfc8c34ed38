"""Old addresses: they lead to where the post is now, and nobody else gets them."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from django.test import Client
from django.utils import timezone

from accounts.models import User
from blog import actions
from blog.errors import InvalidError
from blog.importing.run import import_directory
from blog.models import OldAddress, Post

pytestmark = pytest.mark.django_db


def test_a_new_slug_keeps_the_old_links_for_good(client: Client, post: Post, author: User) -> None:
    actions.update_post(post, actor=author, slug="on-being-read")
    moved = actions.update_post(post, actor=author, slug="on-glass")
    for old in ("on-being-seen", "on-being-read"):
        answer = client.get(f"/blog/{old}/?page=2")
        assert (answer.status_code, answer.headers["Location"]) == (301, "/blog/on-glass/?page=2")
    assert client.head("/blog/on-being-seen/").status_code == 301
    assert client.post("/blog/on-being-seen/").status_code in (404, 405)
    assert client.get("/blog/on-glass/").status_code == 200
    assert moved.slug == "on-glass"


def test_an_old_link_to_what_is_no_longer_published_leads_nowhere(client: Client, post: Post, author: User) -> None:
    moved = actions.update_post(post, actor=author, slug="on-glass")
    actions.unpublish_post(moved, actor=author)
    assert client.get("/blog/on-being-seen/").status_code == 404
    actions.publish_post(moved, actor=author)
    assert client.get("/blog/on-being-seen/").status_code == 301


def test_an_old_slug_stays_the_posts_own(client: Client, post: Post, author: User) -> None:
    moved = actions.update_post(post, actor=author, slug="on-glass")
    assert actions.create_post(actor=author, title="On being seen", body="x").slug == "on-being-seen-2"
    other = actions.create_post(actor=author, title="Other", body="x")
    for slug in ("on-being-seen", "on-glass"):
        with pytest.raises(InvalidError, match="Another post has or had"):
            actions.update_post(other, actor=author, slug=slug)
    back = actions.update_post(moved, actor=author, slug="on-being-seen")
    assert client.get(back.get_absolute_url()).status_code == 200
    assert client.get("/blog/on-glass/").headers["Location"] == "/blog/on-being-seen/"


def test_a_deleted_posts_old_addresses_are_free_again(post: Post, author: User) -> None:
    moved = actions.update_post(post, actor=author, slug="on-glass")
    actions.delete_post(moved, actor=author)
    assert not OldAddress.objects.exists()
    assert actions.create_post(actor=author, title="On being seen", body="x").slug == "on-being-seen"


@pytest.mark.parametrize("slug", ["", "two words", "new", "tag", "ä", "a/b", "x" * 121])
def test_addresses_that_cannot_be_are_explained(post: Post, author: User, slug: str) -> None:
    with pytest.raises(InvalidError) as caught:
        actions.update_post(post, actor=author, slug=slug)
    assert set(caught.value.messages) == {"slug"}
    assert not OldAddress.objects.exists()


def test_the_editor_moves_a_post(author: User, post: Post) -> None:
    client = Client()
    client.force_login(author)
    typed = {"title": post.title, "body": post.body_markdown}
    answer = client.post("/blog/on-being-seen/edit/", {**typed, "slug": "elsewhere"})
    assert answer.headers["Location"] == "/blog/elsewhere/"
    refused = client.post("/blog/elsewhere/edit/", {**typed, "slug": "feed"})
    assert "the blog&#x27;s own" in refused.content.decode()


def test_an_address_that_nobody_had_is_not_found(client: Client, post: Post) -> None:
    for path in ("/nothing/", "/blog/nothing/", f"/{'x' * 600}/", "/2020/old.html"):
        assert client.get(path).status_code == 404


# --- imports -------------------------------------------------------------------------------------------------------

WriteFile = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> WriteFile:
    def write_file(name: str, front: str, body: str = "Text.") -> Path:
        folder = tmp_path / "posts"
        folder.mkdir(exist_ok=True)
        (folder / name).write_text(f"+++\n{front}\n+++\n{body}\n")
        return folder

    return write_file


FRONT = 'title = "Old news"\nauthors = ["Ann"]\ndate = 2020-01-31'


def test_aliases_and_paths_of_an_import_lead_to_the_post(client: Client, write: WriteFile) -> None:
    front = f'{FRONT}\npath = "2020/01/31/old-news"\naliases = ["2020/old-news.html", "/releases/1.0/"]'
    assert import_directory(write("a.md", front)).created == 1
    for path in ("/2020/old-news.html", "/releases/1.0/", "/2020/01/31/old-news/"):
        answer = client.get(path)
        assert (answer.status_code, answer.headers["Location"]) == (301, "/blog/old-news/")
    assert import_directory(write("a.md", front)).unchanged == 1
    more = front.replace("]", "]", 1).replace('"2020/old-news.html"', '"2020/old-news.html", "n"')
    assert import_directory(write("a.md", more)).updated == 1
    assert client.get("/n").status_code == 301


@pytest.mark.parametrize(
    "aliases", ['"https://elsewhere.example/x"', '["a\\u0000b"]', "7", "[7]", '["' + "x" * 501 + '"]']
)
def test_aliases_that_are_none_are_explained(write: WriteFile, aliases: str) -> None:
    report = import_directory(write("a.md", f"{FRONT}\naliases = {aliases}"))
    assert [remark.message.startswith("its alias") for remark in report.failed] == [True]


def test_an_alias_of_two_posts_is_refused_for_the_second(write: WriteFile) -> None:
    write("a.md", f'{FRONT}\naliases = ["x.html"]')
    folder = write("b.md", f'{FRONT.replace("Old", "New")}\naliases = ["x.html"]')
    report = import_directory(folder)
    assert report.created == 1
    assert "leads to “Old news” already" in report.failed[0].message
    assert not Post.objects.filter(title="New news").exists()


@pytest.mark.parametrize(
    "front",
    [
        'categories = ["Design", "Later"]\ntags = ["One", "C++"]',
        'category = "Design"\ntags = "One, C++, Later"',
        '[taxonomies]\ncategories = ["Design", "Later"]\ntags = ["One", "C++"]',
    ],
)
def test_categories_and_tags_of_an_import(write: WriteFile, front: str) -> None:
    folder = write("a.md", f"{FRONT}\n{front}")
    assert import_directory(folder).created == 1
    post = Post.objects.get()
    assert post.category is not None
    assert (post.category.slug, sorted(tag.slug for tag in post.tags.all())) == (
        "design",
        ["c-plus-plus", "later", "one"],
    )
    assert import_directory(folder).unchanged == 1
    write("a.md", FRONT)
    assert import_directory(folder).unchanged == 1  # it says nothing of them
    assert Post.objects.get().category is not None


@pytest.mark.parametrize("front", ["tags = 7", "tags = [7]", 'category = "!?"'])
def test_words_that_are_none_are_explained(write: WriteFile, front: str) -> None:
    report = import_directory(write("a.md", f"{FRONT}\n{front}"))
    assert len(report.failed) == 1
    assert not Post.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_a_page_that_is_kept_gives_way_to_the_new_address(client: Client, post: Post, author: User) -> None:
    for _ in range(2):
        assert client.get("/blog/on-being-seen/").status_code == 200
    actions.update_post(post, actor=author, slug="on-glass")
    assert client.get("/blog/on-being-seen/").headers["Location"] == "/blog/on-glass/"


@pytest.mark.django_db(transaction=True)
def test_lists_that_are_kept_follow_what_publishes_itself(client: Client, draft: Post, author: User) -> None:
    actions.schedule_post(draft, actor=author, publish_at=timezone.now() + timedelta(hours=1))
    for _ in range(2):
        assert "On drafts" not in client.get("/blog/").content.decode()
    Post.objects.update(publish_at=timezone.now() - timedelta(seconds=1))
    actions.publish_due_posts()
    assert "On drafts" in client.get("/blog/").content.decode()
