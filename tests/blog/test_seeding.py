"""Seeded posts: believable, always the same, rendered as the blog renders, and gone without harm to anybody else's."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db.models import QuerySet

from accounts.models import User
from accounts.seeding.people import seed_people, seeded_people
from audit.models import Event
from blog import actions
from blog.actions import texts
from blog.markdown import excerpt_of, render_comment, render_post
from blog.models import Category, Comment, Image, Post, Status, Tag
from blog.seeding import writing
from blog.seeding.composing import Blog, Plan, Said
from blog.seeding.stock import templates, words_of
from blog.seeding.writing import delete_seeded_posts, seed_posts, seeded_posts
from notifications.models import Notification
from tests.blog.conftest import NewUser

UNTIL = datetime(2026, 11, 1, tzinfo=UTC)
Composed = tuple[Plan, tuple[str, str, str, str], list[Said]]


def blog_of(people: list[User], *, seed: int = 1, comments_per_post: float = 3) -> Blog:
    return Blog(seed, people, 5, UNTIL, comments_per_post)


def composed(blog: Blog, count: int) -> Iterator[Composed]:
    for number in range(1, count + 1):
        source = blog.source_of(number)
        plan = blog.plan(number, source)
        yield plan, blog.text(plan, source), blog.comments(plan, source)


@pytest.fixture(scope="module")
def many() -> list[Composed]:
    """Compose 400 posts, which needs no database."""
    people = [User(pk=number, display_name=f"Person{number} Seeded") for number in range(20)]
    return list(composed(blog_of(people), 400))


@pytest.fixture
def people(db: None) -> list[User]:
    return seed_people(12, writers=5, until=UNTIL)[0]


# --- what they say -------------------------------------------------------------------------------------------------


def test_the_html_is_what_the_blog_renders(many: list[Composed]) -> None:
    for _, (_, lead, markdown, html), said in many[:80]:
        assert html == render_post(markdown)
        assert excerpt_of(html) == lead
        for one in said:
            assert one.piece.html == render_comment(one.piece.markdown)


def test_the_texts_pass_what_the_blog_asks_of_texts(many: list[Composed]) -> None:
    for plan, (description, _, markdown, _), said in many:
        assert texts.checked_title(plan.title) == plan.title
        assert texts.checked_description(description) == description
        assert texts.normalised(markdown) == markdown
        assert all(texts.normalised(one.piece.markdown) == one.piece.markdown for one in said)
        assert not any("{" in text for text in (plan.title, description, *(one.piece.markdown for one in said)))


@pytest.mark.parametrize("mark", ["<h2", "<ul>", "<ol>", "<blockquote>", "<pre", "<table>", "<em>", "<strong>", "<a "])
def test_posts_have_all_that_markdown_has(many: list[Composed], mark: str) -> None:
    having = sum(mark in html for _, (_, _, _, html), _ in many)
    assert 20 < having < 400


def test_some_posts_are_short_and_some_long(many: list[Composed]) -> None:
    lengths = sorted(len(markdown) for _, (_, _, markdown, _), _ in many)
    assert lengths[40] < 800
    assert lengths[-40] > 3_000


def test_no_two_posts_are_alike(many: list[Composed]) -> None:
    assert len({markdown for _, (_, _, markdown, _), _ in many}) == 400
    assert len({plan.slug for plan, _, _ in many}) == 400
    assert len({plan.title for plan, _, _ in many}) > 360


def test_links_between_posts_lead_to_published_ones(many: list[Composed]) -> None:
    linked = {part.partition("/)")[0] for _, (_, _, markdown, _), _ in many for part in markdown.split("(/blog/")[1:]}
    assert len(linked) > 50
    assert linked <= {plan.slug for plan, _, _ in many if plan.published_at}


def test_every_topic_has_words_for_every_template() -> None:
    for number, topic in enumerate(templates().topics):
        words = words_of(number)
        assert min(len(words[name]) for name in ("thing", "things", "doing", "trouble", "link", "sentences")) >= 2
        assert topic["unit"]


# --- when, and how much -----------------------------------------------------------------------------------------


def test_dates_are_spread_over_years_and_in_order(many: list[Composed]) -> None:
    for plan, _, said in many:
        times = [plan.created_at, *([plan.published_at] if plan.published_at else []), *(one.said_at for one in said)]
        assert times == sorted(times)
        assert times[-1] < UNTIL
        assert plan.created_at < plan.updated_at < UNTIL
    years = {plan.published_at.year for plan, _, _ in many if plan.published_at}
    assert years >= set(range(2020, 2027))


def test_a_few_are_drafts_and_nobody_comments_on_them(many: list[Composed]) -> None:
    drafts = [said for plan, _, said in many if plan.published_at is None]
    assert 10 < len(drafts) < 60
    assert not any(drafts)


def test_a_few_posts_get_most_of_the_comments(many: list[Composed]) -> None:
    counts = sorted((len(said) for _, _, said in many), reverse=True)
    assert 2 * 400 < sum(counts) < 4 * 400
    assert sum(counts[:80]) > sum(counts) / 2
    assert counts[0] >= 15
    assert counts.count(0) > 100


def test_authors_only_answer(many: list[Composed]) -> None:
    answers = 0
    for plan, _, said in many:
        for before, one in zip([None, *said], said, strict=False):
            if one.author == plan.author:
                answers += 1
                assert before is not None
                assert before.author != plan.author
                assert f"Person{before.author}" in one.piece.markdown
    assert answers > 20


def test_a_few_people_write_most(many: list[Composed]) -> None:
    posts = [plan.author for plan, _, _ in many]
    assert set(posts) == set(range(5))
    assert posts.count(0) > 2 * posts.count(4)


# --- always the same -------------------------------------------------------------------------------------------


def test_the_first_of_many_are_those_of_few(many: list[Composed]) -> None:
    people = [User(pk=number, display_name=f"Person{number} Seeded") for number in range(20)]
    assert list(composed(blog_of(people), 30)) == many[:30]


def test_another_seed_gives_other_posts(many: list[Composed]) -> None:
    people = [User(pk=number, display_name=f"Person{number} Seeded") for number in range(20)]
    others = {markdown for _, (_, _, markdown, _), _ in composed(blog_of(people, seed=2), 10)}
    assert not others & {markdown for _, (_, _, markdown, _), _ in many}


# --- in the database ---------------------------------------------------------------------------------------------


def test_what_is_composed_is_written_and_recorded(
    people: list[User], new_events: Callable[[str], QuerySet[Event]]
) -> None:
    blog = blog_of(people)
    made = seed_posts(blog, 30)
    for plan, (description, lead, markdown, html), said in composed(blog, 30):
        post = seeded_posts().get(source_path=f"/seed_data/1/{plan.number}")
        assert (post.title, post.description, post.excerpt) == (plan.title, description, lead)
        assert (post.body_markdown, post.body_html) == (markdown, html)
        assert (post.author, post.published_at, post.created_at) == (
            people[plan.author],
            plan.published_at,
            plan.created_at,
        )
        assert post.category is not None
        assert post.category.name == templates().topics[plan.topic]["name"]
        assert sorted(tag.name for tag in post.tags.all()) == sorted(plan.tags)
        comments = list(post.comments.order_by("id").values_list("author_id", "body_html", "created_at"))
        assert comments == [(people[one.author].pk, one.piece.html, one.said_at) for one in said]
    assert made["posts"] == Post.objects.count() == new_events("blog.post.created").count() == 30
    assert made["comments"] == Comment.objects.count() == new_events("blog.comment.created").count() > 30
    event = new_events("blog.post.created").first()
    assert event is not None
    assert event.changes["body_markdown"] == seeded_posts().get(pk=event.object_id).body_markdown


def test_authors_are_told_of_recent_comments(people: list[User]) -> None:
    made = seed_posts(blog_of(people, comments_per_post=20), 60)
    told = list(Notification.objects.order_by("created_at"))
    assert len(told) == made["notifications"] > 5
    assert told[0].is_read
    for notification in told:
        comment = Comment.objects.get(pk=int(notification.url.strip("/").split("/")[-1]))
        assert notification.recipient == comment.post.author != comment.author
        assert notification.title == f"{comment.author.name} commented on “{comment.post.title}”"
        assert comment.created_at > UNTIL - timedelta(days=60)


def test_a_second_run_makes_only_what_is_missing(people: list[User]) -> None:
    blog = blog_of(people)
    seed_posts(blog, 20)
    before = set(Post.objects.values_list("pk", "slug"))
    assert not seed_posts(blog, 20).total()
    seeded_posts().filter(source_path="/seed_data/1/7").delete()
    assert seed_posts(blog, 25)["posts"] == 6
    assert len(before & set(Post.objects.values_list("pk", "slug"))) == 19


def test_an_interrupted_run_leaves_whole_posts_and_the_next_goes_on(
    people: list[User], monkeypatch: pytest.MonkeyPatch
) -> None:
    blog = blog_of(people)
    monkeypatch.setattr(writing, "_POSTS_AT_ONCE", 10)

    def interrupt(done: int) -> None:
        if done == 20:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        seed_posts(blog, 40, progress=interrupt)
    assert Post.objects.count() == 20
    seed_posts(blog, 40)
    assert Comment.objects.count() == sum(len(said) for _, _, said in composed(blog, 40))


def test_an_address_that_is_taken_stays_with_whom_it_belongs_to(people: list[User], post: Post) -> None:
    blog = blog_of(people)
    Post.objects.filter(pk=post.pk).update(slug=blog.plan(3).slug)
    seed_posts(blog, 3)
    assert seeded_posts().get(source_path="/seed_data/1/3").slug == f"{blog.plan(3).slug}-2"


# --- and out of it ---------------------------------------------------------------------------------------------


def test_only_what_was_seeded_is_deleted(people: list[User], post: Post, draft: Post, reader: User) -> None:
    own_comment = actions.add_comment(post, author=reader, body="Mine.")
    own_notification = Notification.objects.create(recipient=reader, kind="comment", title="Mine")
    made = seed_posts(blog_of(people, comments_per_post=10), 40)
    assert delete_seeded_posts() == made
    assert set(Post.objects.all()) == {post, draft}
    assert list(Comment.objects.all()) == [own_comment]
    assert list(Notification.objects.all()) == [own_notification]


def test_a_post_to_which_others_have_added_something_stays(people: list[User], reader: User) -> None:
    seed_posts(blog_of(people), 20)
    answered, pictured = seeded_posts().filter(status=Status.PUBLISHED).order_by("id")[:2]
    actions.add_comment(answered, author=reader, body="Is this real?")
    Image.objects.create(post=pictured, file="a.png", name="a.png", width=1, height=1, checksum_sha256="0")
    comments = answered.comments.count()
    deleted = delete_seeded_posts()
    assert (deleted["posts"], deleted["kept_posts"]) == (18, 2)
    assert set(Post.objects.all()) == {answered, pictured}
    assert answered.comments.count() == comments


def test_categories_and_tags_of_others_stay(people: list[User], post: Post) -> None:
    before = {Category.objects.create(name="Bread", slug="bread"), Tag.objects.create(name="Loaves", slug="loaves")}
    seed_posts(blog_of(people), 40)
    assert Category.objects.count() == len(templates().topics)
    used, tag = Category.objects.get(slug="maps"), Tag.objects.get(slug="pots")
    Post.objects.filter(pk=post.pk).update(category=used)
    post.tags.add(tag)
    delete_seeded_posts()
    assert {*Category.objects.all(), *Tag.objects.all()} == {*before, used, tag}


def test_what_is_deleted_is_recorded(people: list[User], new_events: Callable[[str], QuerySet[Event]]) -> None:
    made = seed_posts(blog_of(people), 10)
    delete_seeded_posts()
    assert new_events("blog.post.deleted").count() == 10
    assert new_events("blog.comment.deleted").count() == made["comments"]


def test_no_imported_post_passes_for_a_seeded_one(new_user: NewUser, tmp_path: Any) -> None:
    from blog.importing.run import import_directory

    front = '+++\npath = "/seed_data/1/1"\ntitle = "Mine"\nauthors = ["Ann Other"]\ndraft = true\n+++\n\nText.\n'
    (tmp_path / "a.md").write_text(front)
    assert import_directory(tmp_path).created == 1
    assert not seeded_posts().exists()
    assert not seeded_people().exists()
