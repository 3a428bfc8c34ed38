"""Kept pages: no reader sees one that a change made wrong, and what a change doesn't touch stays kept."""

import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.core.files.base import ContentFile
from django.db import connection, connections, transaction
from django.db.models import F
from django.test import Client
from django.utils import timezone

from accounts.models import User
from audit.echo import Change
from blog import actions, limits
from blog.caching import counts, invalidation
from blog.models import Category, Comment, Image, Post, Status, Tag
from caching import entries
from caching.levels import PAGES, forget_process
from caching.pages import warm
from ops.maintenance.actions import begin_maintenance, end_maintenance
from tests.blog.conftest import picture

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "owner"])

HOME, ARCHIVE, SECOND = "/", "/blog/", "/blog/?page=2"
NEW, OTHER, OLD = "/blog/new-post/", "/blog/other-post/", "/blog/old-post/"
SHELF, TAGGED, BY_ANNA = "/blog/category/glass/", "/blog/tag/clear/", "/blog/author/anna/"
FEED, FEED_OF_SHELF = "/blog/rss.xml", "/blog/category/glass/atom.xml"
EVERYTHING = {HOME, ARCHIVE, SECOND, NEW, OTHER, OLD, SHELF, TAGGED, BY_ANNA, FEED, FEED_OF_SHELF}
LISTS = EVERYTHING - {NEW, OTHER, OLD}
SHELVES = LISTS - {HOME}
# Where each post is shown.
WITH_NEW = {HOME, ARCHIVE, SHELF, BY_ANNA, NEW, FEED, FEED_OF_SHELF}
WITH_OTHER = {HOME, ARCHIVE, OTHER, FEED}
WITH_OLD = {SECOND, TAGGED, BY_ANNA, OLD, FEED}


class Site:
    """A blog whose newest two posts have comments, and whose oldest one stands on the archive's second page alone."""

    def __init__(self) -> None:
        self.anna, self.otto, self.rob = (
            User.objects.create_user(name, display_name=name.title()) for name in ("anna", "otto", "rob")
        )
        for user in (self.anna, self.otto):
            user.groups.set(Group.objects.filter(name="author"))
        now = timezone.now()
        Post.objects.bulk_create(
            self._post(f"post-{number}", self.otto, now - timedelta(days=number)) for number in range(3, 8)
        )
        self.new = self._post("new-post", self.anna, now)
        self.other = self._post("other-post", self.otto, now - timedelta(days=1))
        self.old = self._post("old-post", self.anna, now - timedelta(days=99))
        self.draft = Post(author=self.anna, title="A draft", slug="a-draft", body_markdown="x", body_html="x")
        for post in (self.new, self.other, self.old, self.draft):
            post.save()
        self.category = Category.objects.create(name="Glass", slug="glass", description="What is clear.")
        self.tag = Tag.objects.create(name="Clear", slug="clear")
        self.new.category = self.category
        self.new.save()
        self.old.tags.add(self.tag)
        self.comment = actions.add_comment(self.new, author=self.rob, body="On the new one.")
        self.comments = [actions.add_comment(self.other, author=self.otto, body=f"{number}.") for number in range(6)]
        self.image = Image.objects.create(
            post=self.new, name="x.png", width=1, height=1, file=ContentFile(picture(), name="x.png")
        )
        self.visitor, self.member = Client(), Client()
        self.member.force_login(self.rob)

    def _post(self, slug: str, author: User, published_at: Any) -> Post:
        return Post(
            author=author,
            title=slug.capitalize(),
            slug=slug,
            body_markdown="x",
            body_html="<p>x</p>",
            status=Status.PUBLISHED,
            published_at=published_at,
        )

    def draft_post(self) -> Post:
        return Post(author=self.anna, title="More", slug="more", body_markdown="x", body_html="x")

    def see(self, client: Client, address: str) -> tuple[int, str]:
        """Return what a reader sees, without what each answer has of its own."""
        response = client.get(address)
        text = response.content.decode().replace(response.headers["X-Request-ID"], "")
        return response.status_code, re.sub(r'csrfmiddlewaretoken" value="\w+"', "", text)

    def see_all(self) -> dict[tuple[str, str], tuple[int, str]]:
        seen = {("visitor", address): self.see(self.visitor, address) for address in EVERYTHING}
        return seen | {("member", address): self.see(self.member, address) for address in (HOME, SECOND, NEW, OLD)}

    def truth(self) -> dict[tuple[str, str], tuple[int, str]]:
        """Return what everybody would see without a cache."""
        with transaction.atomic():
            return self.see_all()

    def kept(self) -> set[str]:
        return {address for address in EVERYTHING if PAGES.recall(address) is not None}


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch, no_looks_at_maintenance: None) -> Iterator[Site]:
    monkeypatch.setattr(limits, "POSTS_PER_PAGE", 7)
    forget_process()
    site = Site()
    site.see_all()
    assert site.kept() == EVERYTHING
    yield site
    forget_process()


def sql(statement: str, *parameters: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)


def many_posts(site: Site, count: int) -> list[Post]:
    now = timezone.now()
    return Post.objects.bulk_create(
        site._post(f"more-{number}", site.anna, now + timedelta(seconds=number)) for number in range(count)
    )


def copy_comment(site: Site) -> None:
    with connection.cursor() as cursor:
        columns = "post_id, author_id, body_markdown, body_html, created_at, updated_at"
        with cursor.cursor.copy(f"COPY blog_comment ({columns}) FROM STDIN") as copy:
            now = timezone.now()
            copy.write_row((site.old.pk, site.rob.pk, "Copied.", "<p>Copied.</p>", now, now))


def comment_by_owner(site: Site) -> None:
    with connections["owner"].cursor() as cursor:
        cursor.execute("UPDATE blog_post SET title = 'By the owner' WHERE id = %s", [site.old.pk])


def update_in_bulk(site: Site) -> None:
    site.new.title, site.old.title = "Bulk one", "Bulk two"
    Post.objects.bulk_update([site.new, site.old], ["title"])


def rename(site: Site) -> None:
    site.rob.display_name = "Robert"
    site.rob.save()


CHANGES: dict[str, tuple[Callable[[Site], Any], set[str]]] = {
    # posts
    "edit": (lambda site: actions.update_post(site.new, actor=site.anna, title="Edited"), WITH_NEW),
    "publish": (lambda site: actions.publish_post(site.draft, actor=site.anna), LISTS),
    "unpublish": (lambda site: actions.unpublish_post(site.old, actor=site.anna), LISTS | {OLD}),
    "delete": (lambda site: actions.delete_post(site.new, actor=site.anna), LISTS | {NEW}),
    "a new draft": (lambda site: site.draft_post().save(), set()),
    "edit of a draft": (lambda site: actions.update_post(site.draft, actor=site.anna, title="Other"), set()),
    "update of one": (
        lambda site: Post.objects.filter(pk=site.old.pk).update(title="Updated", updated_at=timezone.now()),
        WITH_OLD,
    ),
    "update by F": (
        lambda site: Post.objects.filter(pk=site.old.pk).update(published_at=F("published_at") + timedelta(days=200)),
        LISTS | {OLD},
    ),
    "bulk_update of two": (update_in_bulk, WITH_NEW | WITH_OLD),
    "update of all": (lambda site: Post.objects.update(title=F("slug")), EVERYTHING),
    "bulk_create of two": (lambda site: many_posts(site, 2), LISTS),
    "bulk_create of eight": (lambda site: many_posts(site, 8), EVERYTHING),
    "SQL on one": (lambda site: sql("UPDATE blog_post SET title = 'S' WHERE slug = 'old-post'"), WITH_OLD),
    "SQL on all": (lambda site: sql("UPDATE blog_post SET title = 'S'"), EVERYTHING),
    "SQL by the owner": (comment_by_owner, WITH_OLD),
    "SQL on a slug": (lambda site: sql("UPDATE blog_post SET slug = 'moved' WHERE slug = 'old-post'"), WITH_OLD),
    # comments
    "comment": (lambda site: actions.add_comment(site.old, author=site.rob, body="Oh."), WITH_OLD),
    "edit of a comment": (
        lambda site: actions.edit_comment(site.comment, actor=site.rob, body="Other."),
        WITH_NEW,
    ),
    "a reply": (
        lambda site: actions.add_comment(site.new, author=site.otto, body="No.", parent=site.comment),
        WITH_NEW,
    ),
    "hiding of a comment": (
        lambda site: Comment.objects.filter(pk=site.comment.pk).update(state=Comment.State.HIDDEN),
        WITH_NEW,
    ),
    "deletion of a comment": (
        lambda site: actions.delete_comment(site.comment, actor=site.rob),
        WITH_NEW,
    ),
    "deletion of two comments": (
        lambda site: Comment.objects.filter(pk__in=[one.pk for one in site.comments[:2]]).delete(),
        WITH_OTHER,
    ),
    "deletion of all comments": (lambda site: Comment.objects.all().delete(), EVERYTHING),
    "update of all comments": (
        lambda site: Comment.objects.update(body_markdown="y", body_html="<p>y</p>"),
        EVERYTHING,
    ),
    "a comment that moves": (
        lambda site: sql("UPDATE blog_comment SET post_id = %s WHERE id = %s", site.old.pk, site.comment.pk),
        WITH_NEW | WITH_OLD,
    ),
    "SQL on a comment": (
        lambda site: sql("UPDATE blog_comment SET body_markdown = 'z', body_html = 'z' WHERE id = %s", site.comment.pk),
        WITH_NEW,
    ),
    "COPY of a comment": (copy_comment, WITH_OLD),
    # people
    "a name": (rename, WITH_NEW),
    "update of a name": (
        lambda site: User.objects.filter(pk=site.rob.pk).update(display_name="Bob"),
        WITH_NEW,
    ),
    "SQL on a name": (
        lambda site: sql("UPDATE accounts_user SET display_name = 'X' WHERE id = %s", site.otto.pk),
        WITH_OTHER,
    ),
    "a password": (lambda site: User.objects.filter(pk=site.anna.pk).update(password="x"), set()),
    "a coauthor": (lambda site: site.old.coauthors.add(site.otto), WITH_OLD | SHELVES),
    "SQL for a coauthor": (
        lambda site: sql(
            "INSERT INTO blog_post_coauthors (post_id, user_id) VALUES (%s, %s)", site.old.pk, site.rob.pk
        ),
        WITH_OLD | SHELVES,
    ),
    # shelves
    "a category's name": (
        lambda site: Category.objects.filter(pk=site.category.pk).update(name="Mirrors"),
        WITH_NEW | {SECOND},
    ),
    "the end of a category": (lambda site: site.category.delete(), WITH_NEW | SHELVES),
    "another category": (lambda site: sql("UPDATE blog_post SET category_id = NULL"), WITH_NEW | SHELVES),
    "a draft's category": (lambda site: Post.objects.filter(pk=site.draft.pk).update(category=site.category), set()),
    "a tag": (lambda site: site.new.tags.add(site.tag), WITH_NEW | SHELVES),
    "a tag's name": (lambda site: Tag.objects.update(name="Clearer"), {TAGGED, OLD, FEED}),
    "SQL on tags": (lambda site: sql("DELETE FROM blog_post_tags"), WITH_OLD | SHELVES),
    # images
    "an image": (lambda site: site.image.delete(), WITH_NEW),
    "an image's text": (lambda site: Image.objects.update(alt="A picture"), WITH_NEW),
    # what pages show nothing of
    "an outsider": (lambda site: User.objects.create_user("nobody"), set()),
}


@pytest.mark.parametrize("name", CHANGES)
def test_after_a_change_nobody_sees_what_was_and_other_pages_stay_kept(site: Site, name: str) -> None:
    change, touched = CHANGES[name]
    change(site)
    assert site.kept() == EVERYTHING - touched
    truth = site.truth()
    assert site.see_all() == truth
    forget_process()  # as every other process sees it
    assert {("visitor", address): site.see(site.visitor, address) for address in touched}.items() <= truth.items()


def test_a_change_that_is_taken_back_leaves_all_kept(site: Site) -> None:
    with transaction.atomic():
        actions.update_post(site.new, actor=site.anna, title="Never")
        transaction.set_rollback(True)
    assert site.kept() == EVERYTHING
    assert site.see_all() == site.truth()


def test_a_change_is_seen_from_its_commit_on_and_not_before(site: Site) -> None:
    with transaction.atomic():
        actions.update_post(site.new, actor=site.anna, title="Edited")
        assert site.kept() == set()  # within the transaction nothing is taken from the cache
    assert site.kept() == EVERYTHING - WITH_NEW
    assert "Edited" in site.see(site.visitor, HOME)[1]


def test_coauthors_who_change_their_name_are_found(site: Site) -> None:
    site.old.coauthors.add(site.rob)
    site.see_all()
    rename(site)
    assert site.kept() == EVERYTHING - WITH_NEW - WITH_OLD
    assert "Robert" in site.see(site.visitor, OLD)[1]


@pytest.mark.parametrize("reader", ["visitor", "member"])
def test_what_was_read_before_a_change_is_in_no_part_that_is_kept_after_it(
    site: Site, reader: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The byline is made after the change, of a post that was read before it."""
    Post.objects.filter(pk=site.old.pk).update(updated_at=timezone.now())  # so that all of its parts are made anew
    counted = counts.comment_counts

    def rename_meanwhile(posts: Any) -> Any:
        monkeypatch.setattr(counts, "comment_counts", counted)
        User.objects.filter(pk=site.anna.pk).update(display_name="Annabel")
        return counted(posts)

    monkeypatch.setattr(counts, "comment_counts", rename_meanwhile)
    assert "Annabel" not in site.see(getattr(site, reader), OLD)[1]
    for client in (site.visitor, site.member):
        assert "Annabel" in site.see(client, OLD)[1]


def test_somebody_with_too_many_posts_to_name_moves_on_all(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(invalidation, "_MOST_POSTS_OF_ONE", 3)
    User.objects.filter(pk=site.otto.pk).update(display_name="Ottokar")
    assert site.kept() == set()


def test_an_echo_that_can_not_be_understood_moves_on_all(site: Site) -> None:
    invalidation.forget_what_changed(None, Change("blog.post.truncated", "blog.post"))
    assert site.kept() == set()
    site.see_all()
    invalidation.forget_what_changed(None, Change("blog.comment.updated", "blog.comment", "no number"))
    assert site.kept() == set()


def test_what_no_echo_tells_is_seen_in_five_minutes(
    site: Site, superuser: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    superuser.execute("UPDATE blog_post SET title = 'By psql' WHERE slug = 'new-post'")
    assert "By psql" not in site.see(site.visitor, HOME)[1]
    made_at = entries.time.time()
    monkeypatch.setattr(entries.Entry, "age_seconds", property(lambda entry: made_at + 300 - entry.made_at))
    assert "By psql" in site.see(site.visitor, HOME)[1]
    assert "By psql" in site.see(site.member, NEW)[1]


def test_a_reader_who_is_logged_in_costs_six_queries(site: Site, django_assert_max_num_queries: Any) -> None:
    first, client = Client(), Client()  # without rights of their own both see the same
    first.force_login(User.objects.create_user("first"))
    client.force_login(User.objects.create_user("newcomer"))
    for address in (NEW, OTHER, OLD):
        first.get(address)
    for address in (NEW, OTHER, OLD):
        with django_assert_max_num_queries(6):
            page = client.get(address).content.decode()
    assert "comment-form" in page
    forget_process()
    with django_assert_max_num_queries(6):
        client.get(NEW)


@pytest.mark.parametrize("address", sorted(EVERYTHING))
def test_a_visitor_costs_no_query(site: Site, django_assert_num_queries: Any, address: str) -> None:
    with django_assert_num_queries(0):
        site.visitor.get(address)


def test_each_sees_the_tools_for_their_own_comments_alone(site: Site) -> None:
    moderator, client = User.objects.create_user("mona"), Client()
    moderator.groups.set(Group.objects.filter(name="moderator"))
    client.force_login(moderator)
    edit, delete = (f"/blog/comments/{site.comment.pk}/{what}/" for what in ("edit", "delete"))

    def tools(reader: Client) -> tuple[bool, bool]:
        page = site.see(reader, NEW)[1]
        return edit in page, delete in page

    for _ in range(2):
        assert tools(client) == (True, True)
        assert tools(site.member) == (True, True)
        assert tools(site.visitor) == (False, False)
    moderator.groups.clear()
    assert tools(client) == (False, False)


def test_odd_numbers_of_pages_are_answered_and_not_kept(site: Site) -> None:
    for odd in ("1", "0", "99", "x", "02"):
        assert site.visitor.get(f"/blog/?page={odd}").status_code == 200
        if odd != "1":
            assert PAGES.memory.get(f"/blog/?page={odd}") is None


def test_what_is_kept_is_not_shown_during_maintenance(site: Site) -> None:
    begin_maintenance(actor=None, message="Back soon.")
    assert site.visitor.get(HOME).status_code == 503
    forget_process()
    warm(HOME, older_than_seconds=0)
    end_maintenance(actor=None)
    page = site.visitor.get(HOME)
    assert page.status_code == 200
    assert "Back soon." not in page.content.decode()


def test_a_draft_is_kept_for_nobody(site: Site) -> None:
    author = Client()
    author.force_login(site.anna)
    assert author.get("/blog/a-draft/").status_code == 200
    assert site.visitor.get("/blog/a-draft/").status_code == 404
    actions.publish_post(site.draft, actor=site.anna)
    assert site.visitor.get("/blog/a-draft/").status_code == 200
    actions.unpublish_post(site.draft, actor=site.anna)
    assert site.visitor.get("/blog/a-draft/").status_code == 404
