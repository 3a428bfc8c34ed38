"""Posts are found by their words: the best first, with what was found marked, and nothing that isn't published."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.models import User
from blog import actions, limits
from blog.markdown import render_post
from blog.models import Post, Status
from blog.search.queries import marked, search

pytestmark = pytest.mark.django_db


def publish(author: User, title: str, body: str = "x", *, days_ago: float = 0, description: str = "") -> Post:
    made = actions.create_post(actor=author, title=title, body=body, description=description)
    actions.publish_post(made, actor=author)
    Post.objects.filter(pk=made.pk).update(published_at=timezone.now() - timedelta(days=days_ago))
    return made


def titles(words: str, number: int = 1) -> list[str]:
    return [hit.post.title for hit in search(words, number=number).hits]


def test_words_are_found_in_title_description_and_text_in_other_forms(author: User) -> None:
    publish(author, "Painting windows")
    publish(author, "Second", description="Why paints promise.")
    publish(author, "Third", "All of it *painted*.")
    publish(author, "Fourth", "Nothing.")
    assert sorted(titles("paint")) == ["Painting windows", "Second", "Third"]
    assert titles("PAINTS promised") == ["Second"]


def test_the_title_weighs_more_than_the_text_and_new_more_than_old(author: User) -> None:
    publish(author, "On glass", days_ago=30)
    publish(author, "Windows", "They are of glass.", days_ago=1)
    publish(author, "Doors", "They are of glass.", days_ago=900)
    assert titles("glass") == ["On glass", "Windows", "Doors"]


def test_quotes_or_and_minus_mean_what_they_mean_elsewhere(author: User) -> None:
    publish(author, "One", "A small clear module.")
    publish(author, "Two", "A clear small thing.")
    assert titles('"small clear"') == ["One"]
    assert sorted(titles("module or thing")) == ["One", "Two"]
    assert titles("small -module") == ["Two"]
    assert titles('"unclosed -((& | !:* <->') == []


def test_drafts_are_not_found_by_anybody(author: User, draft: Post, client: Client) -> None:
    assert titles("drafts") == []
    client.force_login(author)
    assert "No post has all of these words" in client.get("/blog/search/?q=drafts").content.decode()


def test_an_edit_is_found_at_once_and_what_it_took_away_is_not(author: User, post: Post) -> None:
    actions.update_post(post, actor=author, body="Something about lighthouses.")
    assert titles("lighthouse") == ["On being seen"]
    assert titles("short") == []
    actions.unpublish_post(post, actor=author)
    assert titles("lighthouse") == []


def test_tags_and_addresses_are_not_words_of_a_text(author: User) -> None:
    publish(author, "Links", "See [here](https://example.org/elephant).\n\n```python\nfor zebra in herd: pass\n```")
    assert titles("elephant") == []
    assert titles("noopener") == []
    assert titles("zebra herd") == ["Links"]


def test_hits_are_marked_and_nothing_else_is_html(author: User, client: Client) -> None:
    body = "A lamp is `<script>alert(1)</script>` &amp; a lamp\ue000 \ue001is <i>it</i>.\n\n> Another."
    publish(author, "<b>Lamps</b> & more", body)
    page = client.get("/blog/search/?q=lamp").content.decode()
    assert "&lt;b&gt;<mark>Lamps</mark>&lt;/b&gt; &amp; more" in page
    assert "<mark>lamp</mark> is &lt;script&gt;alert(1)&lt;/script&gt; &amp; a <mark>lamp</mark> is it. Another" in page
    assert "<script>alert" not in page
    assert page.count("<mark>") == page.count("</mark>")


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("a \ue000b\ue001 c", "a <mark>b</mark> c"),
        ("\ue001a\ue000\ue000<b>", "a<mark></mark><mark>&lt;b&gt;</mark>"),
        ("\ue000a\ue001\ue001'&", "<mark>a</mark>&#x27;&amp;"),
    ],
)
def test_marks_are_balanced_whatever_stands_in_the_text(text: str, html: str) -> None:
    assert marked(text) == html


def test_a_search_has_pages_and_says_where_it_stops(
    author: User, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "HITS_PER_PAGE", 2)
    monkeypatch.setattr(limits, "POSTS_RANKED", 4)
    for number in range(3):
        publish(author, f"No. {number}", "A needle.", days_ago=number)
    found = search("needle", number=2)
    assert (found.count, found.pages, found.number, found.is_more) == (3, 2, 2, False)
    assert titles("needle") + titles("needle", 2) == ["No. 0", "No. 1", "No. 2"]
    assert titles("needle", 99) == ["No. 2"]
    for number in range(3, 6):
        publish(author, f"No. {number}", "A needle.", days_ago=number)
    assert (search("needle").count, search("needle").is_more) == (4, True)
    page = client.get("/blog/search/?q=needle&page=2").content.decode()
    assert "The best of many posts · page 2 of 2" in page
    assert 'rel="prev" href="?q=needle&amp;page=1"' in page


def test_a_title_is_found_however_many_newer_posts_have_the_word(author: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "POSTS_RANKED", 2)
    publish(author, "The needle", days_ago=1_000)
    for number in range(4):
        publish(author, f"No. {number}", "A needle.", days_ago=number)
    assert titles("needle") == ["The needle", "No. 0", "No. 1"]


@pytest.mark.parametrize("odd", ["", "?q=", "?q=%20", "?q=the", "?q=x&page=0", "?q=x&page=x", "?q=x&page=9999999999"])
def test_odd_questions_are_answered(client: Client, post: Post, odd: str) -> None:
    assert client.get(f"/blog/search/{odd}").status_code == 200


def test_a_question_too_long_is_cut(client: Client, post: Post) -> None:
    page = client.get("/blog/search/", {"q": "word " * 100}).content.decode()
    assert 'value="' + "word " * 40 + '"' in page


def test_what_takes_too_long_is_given_up_and_explained(
    client: Client, post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("blog.search.queries._FIND", "SELECT count(*) FROM generate_series(1, 1e12)")
    monkeypatch.setattr("blog.search.queries._TIMEOUT", "50ms")
    response = client.get("/blog/search/?q=slow")
    assert response.status_code == 200
    assert "takes too long" in response.content.decode()
    assert search("").hits == []  # the connection is still good


@pytest.mark.parametrize("near", [0, 1, 3, 7, 11, 12])
def test_the_same_is_found_however_many_of_the_newest_are_looked_among_first(
    author: User, monkeypatch: pytest.MonkeyPatch, near: int
) -> None:
    monkeypatch.setattr(limits, "POSTS_RANKED", 3)
    today = timezone.now()
    for number in range(12):  # by twos published at the same moment
        title = "On a needle" if number in (5, 11) else f"No. {number}"
        made = publish(author, title, "A needle." if number % 3 else "A haystack.")
        Post.objects.filter(pk=made.pk).update(published_at=today - timedelta(days=number // 2))
    questions = ("needle", "haystack", '"a needle" -haystack', "needle or haystack", "-hay")
    by_default = [titles(words) for words in questions]
    monkeypatch.setattr("blog.search.queries._POSTS_NEAR", near)
    assert [titles(words) for words in questions] == by_default
    assert by_default[:2] == [["On a needle", "On a needle", "No. 1", "No. 2"], ["No. 0", "No. 3", "No. 6"]]


def test_a_search_asks_few_times_and_reads_no_text(author: User) -> None:
    for number in range(5):
        publish(author, f"No. {number}", "A needle.")
    with CaptureQueriesContext(connection) as asked:
        search("needle")
    reading = [query["sql"] for query in asked if "blog_post" in query["sql"]]
    assert len(reading) == 5  # where to look, which posts, the page of them, its rows, their coauthors
    assert not any('"body_markdown"' in sql or '"document"' in sql for sql in reading)


def test_nothing_reads_the_document(author: User, post: Post) -> None:
    with CaptureQueriesContext(connection) as asked:
        made = actions.create_post(actor=author, title="T", body="x")
        actions.update_post(made, actor=author, body="y")
        made.refresh_from_db()
        list(Post.objects.all())
        str(post.comments.create(author=author, body_markdown="x", body_html="x").post)
        list(Post.objects.select_related("author").filter(status=Status.DRAFT))
    assert asked.captured_queries
    assert not any("document" in query["sql"] for query in asked)


@pytest.mark.parametrize(
    "nasty",
    [
        "".join(f"{number:x} " for number in range(90_000)),
        "".join(chr(0x20000 + number) + " " for number in range(40_000)) * 2,
        "".join(
            f"{chr(0x20000 + number)}-{chr(0x20001 + number)}-{chr(0x20002 + number)} " for number in range(33_000)
        ),
        " ".join("x" * 3_000 + str(number) for number in range(150)),
        "".join(f"http://a{number}.example.org/{number} " for number in range(15_000)),
    ],
    ids=["words", "wide", "compound", "long", "addresses"],
)
def test_the_largest_texts_can_be_stored(author: User, nasty: str) -> None:
    body = nasty.encode()[: limits.BODY_BYTES].decode(errors="ignore")
    html = render_post("x")
    post = Post(author=author, title="T", slug="t", body_markdown=body, body_html=f"{html}<p>{body}</p>")
    post.save()
    assert Post.objects.filter(pk=post.pk).exists()


# --- the API -------------------------------------------------------------------------------------------------------


def test_the_api_filters_by_words_newest_first(client: Client, author: User) -> None:
    publish(author, "On glass", days_ago=3)
    publish(author, "Windows", "They are of glass.", days_ago=1)
    publish(author, "Doors", "Of wood.")

    def found(**given: str) -> list[str]:
        return [one["title"] for one in client.get("/api/blog/posts/", given).json()["results"]]

    assert found(q="glass") == ["Windows", "On glass"]
    assert found(q="glass", author="nobody") == []
    assert found(q="the") == []
    assert found(q='"') == []
