"""Categories are looked after by the API as well, by those who may."""

from collections.abc import Callable

import pytest
from django.contrib.auth.models import Permission
from django.db.models import QuerySet
from django.test import Client

from accounts.models import User
from audit.models import Event
from blog import actions
from blog.models import Category, Post
from tests.blog.test_api import Api
from tests.blog.test_history import as_user

pytestmark = pytest.mark.django_db
NewEvents = Callable[[str], QuerySet[Event]]
LIST = "/api/blog/categories/"
DESIGN = {"name": "Design", "slug": "design", "description": "How things look."}


@pytest.fixture
def design(db: None) -> Category:
    return Category.objects.create(**DESIGN)


def test_a_category_lives_its_life_by_the_api(
    admin_user: User, post: Post, author: User, new_events: NewEvents
) -> None:
    api = Api(admin_user)
    made = api("post", LIST, DESIGN)
    assert (made.status_code, made.json()) == (201, {**DESIGN, "url": "/blog/category/design/", "post_count": 0})
    assert made.headers["Location"].endswith("/api/blog/categories/design/")
    actions.update_post(post, actor=author, category="design")
    assert Client().get(f"{LIST}design/").json()["post_count"] == 1
    changed = api("patch", f"{LIST}design/", {"name": " Form  and use", "slug": "form"})
    assert (changed.json()["name"], changed.json()["description"]) == ("Form and use", "How things look.")
    assert changed.headers["ETag"] == Client().get(f"{LIST}form/").headers["ETag"]
    assert api("get", f"{LIST}design/").status_code == 404
    assert api("delete", f"{LIST}form/").status_code == 204
    post.refresh_from_db()
    assert (post.category, post.is_published) == (None, True)
    for what in ("created", "updated", "deleted"):
        assert new_events(f"blog.category.{what}").count() == 1


def test_those_whom_the_admin_lets_do_it_may_too(reader: User, design: Category) -> None:
    verbs = ("add", "change", "delete")
    reader.user_permissions.set(Permission.objects.filter(codename__in=[f"{verb}_category" for verb in verbs]))
    assert Api(reader)("patch", f"{LIST}design/", {"name": "Form"}).status_code == 200


def test_nobody_else_does(
    design: Category, reader: User, author: User, moderator: User, new_events: NewEvents, admin_user: User
) -> None:
    for user in (reader, author, moderator):
        api = Api(user)
        assert api("post", LIST, {"name": "x", "slug": "x"}).status_code == 403
        assert api("patch", f"{LIST}design/", {"name": "x"}).status_code == 403
        assert api("delete", f"{LIST}design/").status_code == 403
    assert new_events("blog.access.denied").count() == 9
    assert Client().post(LIST, {}, content_type="application/json").status_code == 401
    assert Api(admin_user, "blog:read")("delete", f"{LIST}design/").status_code == 403
    assert list(Category.objects.values_list("name", flat=True)) == ["Design"]


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"name": "Other"}, "slug"),
        ({"slug": "other"}, "name"),
        ({"name": " ", "slug": "other"}, "name"),
        ({"name": "Design", "slug": "other"}, "name"),
        ({"name": "Other", "slug": "design"}, "slug"),
        ({"name": "Other", "slug": "no slug"}, "slug"),
        ({"name": "x" * 81, "slug": "other"}, "name"),
        ({"name": "a\x00", "slug": "other"}, "name"),
        ({"name": "Other", "slug": "other", "description": "x" * 501}, "description"),
    ],
)
def test_what_can_not_be_is_named_by_field(
    admin_user: User, design: Category, values: dict[str, str], field: str
) -> None:
    response = Api(admin_user)("post", LIST, values)
    assert (response.status_code, set(response.json()["errors"])) == (400, {field})
    assert Category.objects.count() == 1


def test_an_update_of_what_somebody_else_changed_is_refused(admin_user: User, design: Category) -> None:
    client, address = as_user(admin_user), f"{LIST}design/"
    read = client.get(address).headers["ETag"]
    Category.objects.update(description="Another.")
    refused = client.patch(address, {"name": "x"}, content_type="application/json", headers={"If-Match": read})
    assert refused.status_code == 412
    assert client.delete(address, headers={"If-Match": read}).status_code == 412
    now = client.get(address).headers["ETag"]
    assert client.delete(address, headers={"If-Match": now}).status_code == 204


def test_an_update_that_comes_between_check_and_change_is_kept(
    admin_user: User, design: Category, monkeypatch: pytest.MonkeyPatch
) -> None:
    from blog.api import conditions

    client, address, real = as_user(admin_user), f"{LIST}design/", conditions.etag_of
    read = client.get(address).headers["ETag"]

    def meanwhile(data: object) -> str:
        Category.objects.update(description="Faster.")
        return real(data)

    monkeypatch.setattr(conditions, "etag_of", meanwhile)
    slower = client.patch(address, {"description": "x"}, content_type="application/json", headers={"If-Match": read})
    assert slower.status_code == 412
    assert Category.objects.get().description == "Faster."
