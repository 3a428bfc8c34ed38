"""Categories and tags: chosen in the editor and by the API, and the lists of what is published under them."""

from collections.abc import Callable
from typing import Any

import pytest
from django.db.models import QuerySet
from django.test import Client

from accounts.actions import create_token
from accounts.models import User
from audit.models import Event
from blog import actions, limits
from blog.errors import InvalidError
from blog.models import Category, Post, Tag
from blog.taxonomy import tag_slug

pytestmark = pytest.mark.django_db
NewEvents = Callable[[str], QuerySet[Event]]


@pytest.fixture
def design(db: None) -> Category:
    return Category.objects.create(name="Design", slug="design", description="How it's made.")


@pytest.fixture
def filed(post: Post, author: User, design: Category) -> Post:
    return actions.update_post(post, actor=author, category="design", tags=["PostgreSQL", "C++"])


def test_a_post_is_filed_and_the_ledger_says_so(
    post: Post, author: User, design: Category, new_events: NewEvents
) -> None:
    before = post.version
    filed = actions.update_post(post, actor=author, category="design", tags=["#PostgreSQL", " postgresql ", "C++"])
    assert filed.category == design
    assert [(tag.slug, tag.name) for tag in filed.tags.all()] == [("c-plus-plus", "C++"), ("postgresql", "PostgreSQL")]
    assert filed.version != before
    changes = [event.changes for event in new_events("blog.post.updated").filter(object_id=str(post.pk))]
    assert any(change.get("category") == [None, design.pk] or change.get("category_id") for change in changes)
    assert any("tags" in change for change in changes)
    again = actions.update_post(filed, actor=author, category="design", tags=["c++", "postgresql"])
    assert again.version == filed.version
    bare = actions.update_post(filed, actor=author, category="", tags=[])
    assert (bare.category, list(bare.tags.all())) == (None, [])


@pytest.mark.parametrize(
    ("name", "slug"),
    [("C", "c"), ("C++", "c-plus-plus"), ("C#", "c-sharp"), ("Web  Dev", "web-dev"), ("日本", "日本"), ("!?", "")],
)
def test_a_tags_slug_keeps_what_tells_it_from_others(name: str, slug: str) -> None:
    assert tag_slug(name) == slug


@pytest.mark.parametrize(
    ("values", "field", "said"),
    [
        ({"tags": ["!?"]}, "tags", "no letters"),
        ({"tags": ["x" * 51]}, "tags", "longer than 50"),
        ({"tags": [f"t{number}" for number in range(limits.TAGS_OF_A_POST + 1)]}, "tags", "at most 20"),
        ({"tags": ["a\x00"]}, "tags", "no letters"),
        ({"category": "cooking"}, "category", "Categories are: design"),
        ({"category": "\x00"}, "category", "There is no category"),
    ],
)
def test_words_that_cannot_be_are_explained_and_nothing_is_kept(
    author: User, design: Category, values: dict[str, Any], field: str, said: str
) -> None:
    with pytest.raises(InvalidError) as caught:
        actions.create_post(actor=author, title="T", body="B", **values)
    assert said in caught.value.messages[field]
    assert not Post.objects.exists()
    assert not Tag.objects.exists()


def test_lists_hold_what_is_published_and_no_drafts(
    client: Client, filed: Post, draft: Post, author: User, other_author: User
) -> None:
    actions.update_post(draft, actor=author, category="design", tags=["C++", "Secret"])
    filed.coauthors.add(other_author)
    for path in ("category/design/", "tag/c-plus-plus/", "author/anna/", "author/otto/"):
        page = client.get(f"/blog/{path}").content.decode()
        assert "On being seen" in page
        assert "On drafts" not in page
    assert "How it&#x27;s made." in client.get("/blog/category/design/").content.decode()


def test_what_only_drafts_have_is_unknown(client: Client, draft: Post, author: User, reader: User) -> None:
    actions.update_post(draft, actor=author, tags=["Secret"])
    for path in ("tag/secret/", "author/anna/", "author/rob/", "category/none/", "tag/none/"):
        assert client.get(f"/blog/{path}").status_code == 404


def test_the_ways_lead_to_each_other(client: Client, filed: Post) -> None:
    page = client.get("/blog/on-being-seen/").content.decode()
    for path in ("category/design/", "tag/c-plus-plus/", "author/anna/"):
        assert f'href="/blog/{path}"' in page
        assert client.get(f"/blog/{path}").status_code == 200
    assert 'href="/blog/category/design/"' in client.get("/blog/").content.decode()


def test_a_tag_of_other_letters_has_a_page(client: Client, post: Post, author: User) -> None:
    actions.update_post(post, actor=author, tags=["日本"])
    assert client.get(Tag.objects.get().get_absolute_url()).status_code == 200


def test_the_editor_files_a_post(author: User, design: Category) -> None:
    client = Client()
    client.force_login(author)
    client.post("/blog/new/", {"title": "T", "body": "x", "category": "design", "tags": "One, two,, ONE"})
    post = Post.objects.get()
    assert post.category == design
    assert sorted(tag.name for tag in post.tags.all()) == ["One", "two"]
    editor = client.get("/blog/t/edit/").content.decode()
    assert 'value="One, two"' in editor
    assert '<option value="design" selected>' in editor
    refused = client.post("/blog/t/edit/", {"title": "T", "body": "x", "slug": "t", "tags": "!?"})
    assert refused.status_code == 400
    assert "has no letters" in refused.content.decode()


def test_the_api_files_finds_and_lists(author: User, design: Category, post: Post, draft: Post) -> None:
    client = Client()
    _, text = create_token(author, actor=author, scopes=("blog:read", "blog:write"))
    answer = client.patch(
        "/api/blog/posts/on-being-seen/",
        {"category": "design", "tags": ["C++", "b"]},
        content_type="application/json",
        headers={"Authorization": f"Bearer {text}"},
    ).json()
    assert (answer["category"], answer["tags"]) == ("design", ["C++", "b"])
    actions.update_post(draft, actor=author, tags=["Secret"])

    def slugs(query: str) -> list[str]:
        return [item["slug"] for item in client.get(f"/api/blog/{query}").json()["results"]]

    for query in ("?category=design", "?tag=c-plus-plus", "?author=anna", "?author=anna&tag=b"):
        assert slugs(f"posts/{query}") == ["on-being-seen"]
    for query in ("?category=none", "?tag=none", "?author=none", "?author=anna&tag=none"):
        assert slugs(f"posts/{query}") == []
    assert slugs("tags/") == ["b", "c-plus-plus"]
    (category,) = client.get("/api/blog/categories/").json()["results"]
    assert (category["slug"], category["post_count"]) == ("design", 1)


def test_people_look_after_categories_in_the_admin(admin_user: User, filed: Post) -> None:
    User.objects.filter(pk=admin_user.pk).update(is_staff=True)
    client = Client()
    client.force_login(admin_user)
    client.post("/admin/blog/category/add/", {"name": "Operations", "slug": "operations", "description": ""})
    assert Category.objects.filter(slug="operations").exists()
    for page in ("category", "tag", "oldaddress", "post"):
        assert client.get(f"/admin/blog/{page}/").status_code == 200
    client.post(f"/admin/blog/category/{filed.category_id}/delete/", {"post": "yes"})
    filed.refresh_from_db()
    assert filed.category is None
