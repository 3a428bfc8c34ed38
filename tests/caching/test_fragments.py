"""Parts of pages are kept for all, and show nobody in particular."""

from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest
from django.template import TemplateSyntaxError, engines
from django.test import RequestFactory

from accounts.models import User
from caching import generations

PART = """{% load fragments %}<{{ user.username }}>{% fragment "tests.part" number %}{% depends_on "tests.thing" 1 %}
{{ text }} {{ number }} [{{ user.username }}{{ request.path }}{% if perms.blog.add_post %}may{% endif %}]\
{% endfragment %}"""


def request_of(user: Any) -> HttpRequest:
    request = RequestFactory().get("/somewhere/")
    request.user = user
    return request


def render(user: Any, **context: Any) -> str:
    with generations.reading():  # as under @shared_page
        rendered: str = engines["django"].from_string(PART).render(context, request_of(user))
    return rendered


@pytest.fixture
def admin() -> User:
    return User.objects.create_superuser("ada", password="x")


def test_a_part_is_made_once_and_shows_no_visitor(admin: User) -> None:
    assert render(admin, text="first", number=1) == "<ada>\nfirst 1 []"
    assert render(AnonymousUser(), text="second", number=1) == "<>\nfirst 1 []"
    assert render(admin, text="second", number=2) == "<ada>\nsecond 2 []"


def test_a_part_is_made_anew_after_a_change(admin: User) -> None:
    render(admin, text="first", number=1)
    generations.invalidate(["tests.thing:1"])
    assert "second" in render(admin, text="second", number=1)


def test_what_a_part_hangs_on_can_not_be_mistaken(admin: User) -> None:
    render(admin, text="first", number="1:2")
    source = '{% load fragments %}{% fragment "tests.part" 1 2 %}other{% endfragment %}'
    assert engines["django"].from_string(source).render({}, request_of(admin)) == "other"


def test_a_part_is_not_kept_where_nobody_knows_when_its_page_began_to_read(admin: User) -> None:
    for text in ("first", "second"):
        template = engines["django"].from_string(PART)
        assert text in template.render({"text": text, "number": 1}, request_of(admin))
    render(admin, text="third", number=1)
    template = engines["django"].from_string(PART)
    assert "third" in template.render({"text": "fourth", "number": 1}, request_of(admin))


def test_a_part_is_escaped_once() -> None:
    for _ in range(2):
        assert "&lt;b&gt; 1" in render(AnonymousUser(), text="<b>", number=1)


def test_a_part_needs_a_name() -> None:
    with pytest.raises(TemplateSyntaxError, match="Give the part a name"):
        engines["django"].from_string("{% load fragments %}{% fragment %}x{% endfragment %}")
