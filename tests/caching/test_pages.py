"""Pages that are kept hold nothing of whoever asked first, and are answered as HTTP has it."""

import re
from collections.abc import Callable
from http.cookies import SimpleCookie
from typing import Any

import pytest
from django.conf import settings
from django.contrib import messages
from django.contrib.sessions.backends.db import SessionStore
from django.http import HttpRequest, HttpResponse
from django.template import engines
from django.test import Client, RequestFactory
from django.urls import path
from django.views.decorators.http import require_safe

from accounts.models import User
from caching import generations
from caching.connection import ask
from caching.dependencies import depends_on, leave_unstored
from caching.levels import PAGES, forget_process
from caching.pages import shared_page, warm
from caching.requests import request_id_for
from telemetry.http.exchange import DURATION

readings: list[str] = []
text = "first"


def render(request: HttpRequest, source: str, **context: Any) -> HttpResponse:
    template = engines["django"].from_string(source)
    return HttpResponse(template.render({"request_id": request_id_for(request), **context}, request))


@require_safe
@shared_page(parameters=["page"])
def shown(request: HttpRequest) -> HttpResponse:
    readings.append(request.GET.urlencode())
    depends_on("tests.thing", 1)
    number = request.GET.get("page", "1")
    if number not in {"1", "2"}:
        leave_unstored("odd_page")
    user = "{{ user.username }}|{% for _ in messages %}1{% empty %}0{% endfor %}"
    return render(request, f"{text} page {number} of {{{{ request_id }}}} for {user}")


@shared_page()
def with_form(request: HttpRequest) -> HttpResponse:
    depends_on("tests.thing", 1)
    return render(request, "{% csrf_token %}")


@shared_page()
def with_host(request: HttpRequest) -> HttpResponse:
    depends_on("tests.thing", 1)
    return HttpResponse(request.build_absolute_uri("/"))


@shared_page()
def missing(request: HttpRequest) -> HttpResponse:
    readings.append("missing")
    depends_on("tests.thing", 1)
    return HttpResponse("gone", status=410)


def told(request: HttpRequest) -> HttpResponse:
    messages.success(request, "once, to you")
    return HttpResponse()


urlpatterns = [
    path("shown/", shown),
    path("form/", with_form),
    path("host/", with_host),
    path("missing/", missing),
    path("told/", told),
]


@pytest.fixture(autouse=True)
def _site(settings: Any, no_looks_at_maintenance: None) -> None:
    global text
    settings.ROOT_URLCONF = "tests.caching.test_pages"
    readings.clear()
    text = "first"
    forget_process()


def change(new: str) -> None:
    global text
    text = new
    generations.invalidate(["tests.thing:1"])


@pytest.fixture
def member(transactional_db: None) -> Client:
    client = Client()
    client.force_login(User.objects.create_user("mia"))
    return client


def body(response: Any) -> str:
    return str(response.content.decode())


@pytest.mark.parametrize("is_in_process", [True, False])
def test_each_answer_names_its_own_request(client: Client, is_in_process: bool) -> None:
    ids = set()
    for _ in range(3):
        if not is_in_process:
            forget_process()
        response = client.get("/shown/")
        assert f"of {response.headers['X-Request-ID']} for" in body(response)
        assert response.headers["Content-Length"] == str(len(response.content))
        ids.add(response.headers["X-Request-ID"])
    assert len(ids) == 3
    assert readings == [""]


def test_the_id_that_a_proxy_gives_is_shown_too(client: Client) -> None:
    client.get("/shown/")
    response = client.get("/shown/", headers={"X-Request-ID": "page-first-12345"})
    assert body(response) == "first page 1 of page-first-12345 for |0"


def test_all_ways_to_a_kept_page_give_the_same_headers(client: Client) -> None:
    varying = {"X-Request-ID", "X-Request-Duration-Ms", "traceparent", "Server-Timing", "Last-Modified"}
    answers = [client.get("/shown/") for _ in range(2)]
    forget_process()
    answers += [client.get("/shown/") for _ in range(2)]
    told = [{name: value for name, value in one.headers.items() if name not in varying} for one in answers]
    assert told[0] == told[1] == told[2] == told[3]
    assert told[0]["Vary"] == "Cookie"
    assert told[0]["Cache-Control"] == "private, no-cache"
    assert told[0]["X-Frame-Options"] == "DENY"
    assert "default-src 'self'" in told[0]["Content-Security-Policy"]


def test_a_member_gets_a_page_of_their_own_and_leaves_none_behind(client: Client, member: Client) -> None:
    assert "for mia|0" in body(member.get("/shown/"))
    assert "for |0" in body(client.get("/shown/"))
    assert "for mia|0" in body(member.get("/shown/"))
    assert "ETag" not in member.get("/shown/").headers


def test_nothing_of_the_first_visitor_gets_into_the_page(client: Client) -> None:
    client.cookies["csrftoken"] = "c" * 32
    first = client.get("/shown/?utm_source=somebody", headers={"User-Agent": "first"})
    assert not first.cookies
    assert readings == [""]
    assert body(Client().get("/shown/")).startswith("first page 1 of ")
    assert readings == [""]


def test_the_cookie_of_a_session_that_is_over_does_not_matter(client: Client, member: Client) -> None:
    client.get("/shown/")
    session = SessionStore()
    session["basket"] = "empty"
    session.save()
    for key in (session.session_key, "long-gone"):
        client.cookies = SimpleCookie({settings.SESSION_COOKIE_NAME: str(key)})
        assert "for |0" in body(client.get("/shown/"))
    assert readings == [""]


def test_a_message_is_shown_to_its_visitor_alone(client: Client) -> None:
    client.get("/shown/")
    client.get("/told/")
    assert "for |1" in body(client.get("/shown/"))
    assert "for |0" in body(client.get("/shown/"))
    assert "for |0" in body(Client().get("/shown/"))


def test_junk_in_the_query_changes_nothing_and_keeps_nothing(client: Client) -> None:
    for query in ("", "?a=1", "?a=2&b=3", "?utm_source=x"):
        client.get(f"/shown/{query}")
    assert readings == [""]
    client.get("/shown/?page=2&a=1")
    client.get("/shown/?a=2&page=2")
    assert readings == ["", "page=2"]
    before = ask(lambda redis: redis.dbsize())
    for odd in ("0", "999", "x" * 20, "x" * 5_000, "%F0%9F%90%9F"):
        assert f"page {odd[:1] if odd[0] != '%' else ''}" in body(client.get(f"/shown/?page={odd}"))
    assert ask(lambda redis: redis.dbsize()) == before


def test_a_page_that_a_browser_has_is_not_sent_again(client: Client) -> None:
    first = client.get("/shown/")
    for _ in range(2):
        again = client.get("/shown/", headers={"If-None-Match": first.headers["ETag"]})
        assert again.status_code == 304
        assert again.content == b""
        assert again.headers["ETag"] == first.headers["ETag"]
        assert again.headers["Vary"] == "Cookie"
        assert again.headers["X-Request-ID"] != first.headers["X-Request-ID"]
        forget_process()
    change("second")
    changed = client.get("/shown/", headers={"If-None-Match": first.headers["ETag"]})
    assert (changed.status_code, body(changed)[:6]) == (200, "second")
    change("first")
    assert client.get("/shown/").headers["ETag"] == first.headers["ETag"]


def test_a_date_is_told_only_when_no_other_version_can_have_it(client: Client, wait_until: Callable[..., Any]) -> None:
    client.get("/shown/")
    told = wait_until(lambda: client.get("/shown/").headers.get("Last-Modified"))
    assert client.get("/shown/", headers={"If-Modified-Since": told}).status_code == 304
    change("second")
    assert client.get("/shown/", headers={"If-Modified-Since": told}).status_code == 200
    assert "Last-Modified" not in client.get("/shown/").headers


def test_head_is_answered_from_the_same_page(client: Client) -> None:
    got = client.get("/shown/")
    for _ in range(2):
        head = client.head("/shown/")
        assert head.status_code == 200
        assert head.content == b""
        assert head.headers["ETag"] == got.headers["ETag"]
        assert head.headers["Content-Length"] == got.headers["Content-Length"]
    assert readings == [""]


def test_other_methods_are_not_answered_from_the_cache(client: Client) -> None:
    client.get("/shown/")
    assert client.post("/shown/").status_code == 405


def test_a_host_that_is_not_ours_is_refused(client: Client) -> None:
    client.get("/shown/")
    assert client.get("/shown/", headers={"Host": "evil.example"}).status_code == 400


def test_a_page_that_was_kept_is_counted_under_its_route(client: Client) -> None:
    client.get("/shown/")
    before = DURATION.labels("GET", "/shown/", "200", "").value
    client.get("/shown/")
    assert DURATION.labels("GET", "/shown/", "200", "").value > before


def test_only_what_was_found_is_kept(client: Client) -> None:
    assert [client.get("/missing/").status_code for _ in range(2)] == [410, 410]
    assert readings == ["missing", "missing"]


@pytest.mark.parametrize("address", ["/form/", "/host/"])
def test_a_page_that_is_for_one_visitor_is_given_and_not_kept(client: Client, address: str) -> None:
    answers = {body(client.get(address)) for _ in range(2)}
    assert all(answers)
    assert PAGES.memory.get(address) is None
    if address == "/form/":
        assert all(re.search("csrfmiddlewaretoken", one) for one in answers)
        assert len(answers) == 2


def test_a_kept_page_costs_no_query(client: Client, django_assert_num_queries: Any) -> None:
    client.get("/shown/")
    with django_assert_num_queries(0):
        client.get("/shown/")
    forget_process()
    with django_assert_num_queries(0):
        client.get("/shown/")


def test_warming_makes_what_is_missing_or_old_and_the_visitor_finds_it(client: Client) -> None:
    assert warm("/shown/", older_than_seconds=100)
    assert not warm("/shown/", older_than_seconds=100)
    assert warm("/shown/", older_than_seconds=0)
    forget_process()
    client.get("/shown/")
    assert readings == ["", ""]
    change("second")
    assert warm("/shown/", older_than_seconds=100)


def test_a_page_may_name_no_request_before_it_has_one() -> None:
    assert request_id_for(RequestFactory().get("/")) == ""


def test_a_change_is_seen_at_once_by_every_way(client: Client) -> None:
    client.get("/shown/")
    client.get("/shown/?page=2")
    change("second")
    assert body(client.get("/shown/")).startswith("second page 1")
    assert body(client.get("/shown/?page=2")).startswith("second page 2")
