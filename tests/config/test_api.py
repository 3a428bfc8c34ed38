"""What all of the API shares: lists by cursor, the index, the schema, the docs, and that no address is left open."""

import json
from collections.abc import Iterator
from contextlib import suppress
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.contrib.auth.models import Permission
from django.test import Client, RequestFactory
from django.urls import URLPattern, URLResolver, get_resolver, resolve
from drf_spectacular.validation import validate_schema
from rest_framework.exceptions import NotFound, ValidationError
from rest_framework.request import Request
from rest_framework.serializers import ModelSerializer

from accounts import actions
from accounts.models import User
from accounts.scopes import ScopePermission
from audit.api.base import MayReadLedger
from config.api import Pagination
from config.api_root import COLLECTIONS

OPEN = {"ApiRoot", "SpectacularAPIView"}  # for everyone, as they hold nothing of anyone's


def api_patterns(patterns: Any = None, prefix: str = "") -> Iterator[tuple[str, Any]]:
    for pattern in get_resolver().url_patterns if patterns is None else patterns:
        route = prefix + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from api_patterns(pattern.url_patterns, route)
        elif isinstance(pattern, URLPattern) and route.startswith("api/") and hasattr(pattern.callback, "cls"):
            yield route, pattern.callback


def test_no_address_of_the_api_lets_in_tokens_without_a_scope() -> None:
    views = dict(api_patterns())
    assert len(views) > 8
    for route, callback in views.items():
        if callback.cls.__name__ in OPEN:
            continue
        view = callback.cls(**callback.initkwargs)
        kinds = {type(permission) for permission in view.get_permissions()}
        assert kinds & {ScopePermission, MayReadLedger}, f"{route} has {kinds}"


@pytest.mark.django_db
def test_options_asks_no_view_anything(client: Client) -> None:
    client.force_login(User.objects.create_superuser("ada", password="x"))
    for path in ("/api/blog/pending-copy/", "/api/chat/rooms/", "/api/audit/events/"):
        answer = client.options(path)
        assert (answer.status_code, answer["Content-Type"]) == (405, "application/problem+json"), path
        assert "GET" in answer["Allow"] or "PUT" in answer["Allow"]


# --- lists -----------------------------------------------------------------------------------------------------------


def a_page(**query: str) -> list[str]:
    pagination = Pagination()
    request = Request(RequestFactory().get("/api/things/", query))
    rows = pagination.paginate_queryset(Permission.objects.all(), request)
    assert rows is not None
    page = pagination.get_paginated_response([row.pk for row in rows]).data
    assert set(page) == {"next", "previous", "results"}
    return [page["results"], page["next"]]


@pytest.mark.django_db
def test_pages_come_newest_first_and_lead_to_the_next() -> None:
    expected = list(Permission.objects.order_by("-pk").values_list("pk", flat=True))
    results, following = a_page()
    assert results == expected[:25]
    (cursor,) = parse_qs(urlsplit(following).query)["cursor"]
    assert a_page(cursor=cursor)[0] == expected[25:50]
    assert a_page(limit="3")[0] == expected[:3]


@pytest.mark.django_db
def test_a_cursor_is_a_place_in_the_order_and_no_offset() -> None:
    _, following = a_page(limit="2")
    first = Permission.objects.order_by("-pk")[0]
    (cursor,) = parse_qs(urlsplit(following).query)["cursor"]
    before = a_page(limit="2", cursor=cursor)[0]
    Permission.objects.filter(pk=first.pk).delete()
    assert a_page(limit="2", cursor=cursor)[0] == before


@pytest.mark.django_db
@pytest.mark.parametrize("limit", ["0", "101", "-1", "x", "", "²", "9" * 5_000])
def test_a_limit_out_of_bounds_is_refused(limit: str) -> None:
    with pytest.raises(ValidationError, match="1 to 100"):
        a_page(limit=limit)


@pytest.mark.django_db
@pytest.mark.parametrize(
    "cursor",
    [
        "x",
        "cD1mb28=",  # p=foo
        "cD05OTk5OTk5OTk5OTk5OTk5OTk5OTk5OTk5OTk5",  # a position that no bigint holds
        "bz0tNQ==",  # o=-5
        "\x00",
    ],
)
def test_a_forged_cursor_breaks_nothing(cursor: str) -> None:
    with suppress(NotFound):
        results, _ = a_page(cursor=cursor)
        assert len(results) <= 25


# --- index, schema, docs ---------------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_the_index_leads_everyone_to_addresses_that_exist(client: Client) -> None:
    index = client.get("/api/").json()
    assert list(index) == list(COLLECTIONS)
    for address in index.values():
        assert resolve(address.removeprefix("http://testserver"))


@pytest.mark.django_db
def test_an_unknown_token_is_refused_even_where_everyone_may_read(client: Client) -> None:
    response = client.get("/api/", headers={"Authorization": "Bearer gh_" + "x" * 43})
    assert response.status_code == 401


@pytest.mark.django_db
@pytest.mark.parametrize("name", ["rooms", "task_runs", "notifications", "audit_events"])
def test_lists_are_for_those_who_say_who_they_are(client: Client, name: str) -> None:
    response = client.get(COLLECTIONS[name])
    assert response.status_code == 401
    assert response.headers["WWW-Authenticate"] == 'Bearer realm="glasshouse"'
    assert response.json()["request_id"] == response.headers["X-Request-ID"]


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("name", "scope"),
    [
        ("posts", "blog:read"),
        ("rooms", "chat:read"),
        ("task_runs", "tasks:read"),
        ("notifications", "notifications:read"),
        ("audit_events", "audit:read"),
    ],
)
def test_a_token_reads_the_list_that_its_scope_names(client: Client, name: str, scope: str) -> None:
    admin = User.objects.create_superuser("root", password="pa55")
    _, right = actions.create_token(admin, actor=None, scopes=[scope])
    _, wrong = actions.create_token(admin, actor=None, scopes=[])
    response = client.get(COLLECTIONS[name], headers={"Authorization": f"Bearer {right}"})
    assert response.status_code == 200, response.content
    assert client.get(COLLECTIONS[name], headers={"Authorization": f"Bearer {wrong}"}).status_code == 403


@pytest.mark.django_db
def test_the_schema_is_valid_and_tells_of_tokens(client: Client) -> None:
    schema = json.loads(client.get("/api/schema/?format=json").content)
    validate_schema(schema)
    assert schema["components"]["securitySchemes"]["bearerToken"]["scheme"] == "bearer"
    assert "/api/audit/events/" in schema["paths"]
    assert "/api/blog/posts/" in schema["paths"]


def test_the_schema_tells_what_a_failure_looks_like(client: Client) -> None:
    schema = json.loads(client.get("/api/schema/?format=json").content)
    told = {name for name, one in schema["components"]["schemas"]["Problem"]["properties"].items()}
    answer = client.get("/api/blog/posts/?limit=x")
    assert set(answer.json()) == told
    for path, operations in schema["paths"].items():
        for method, operation in operations.items():
            content = operation["responses"]["default"]["content"]
            assert content[answer["Content-Type"]]["schema"] == {"$ref": "#/components/schemas/Problem"}, (path, method)


def test_what_may_be_empty_in_a_row_may_be_null_in_the_schema() -> None:
    """A field that is read from a column that may be NULL says so: clients are generated from it."""
    assert list(api_patterns())  # which imports all that has an address
    ours = [one for one in ModelSerializer.__subclasses__() if hasattr(one, "Meta") and "tests" not in one.__module__]
    assert len(ours) > 10
    for serializer in ours:
        columns = {column.name: column for column in serializer.Meta.model._meta.fields}  # type: ignore[attr-defined]
        nullable = [field for field in serializer().fields.values() if field.source in columns]
        nullable = [field for field in nullable if columns[field.source].null]
        assert [field.field_name for field in nullable if not field.allow_null] == [], serializer.__name__


def test_the_schema_is_generated_without_a_warning(recwarn: Any) -> None:
    from drf_spectacular.drainage import GENERATOR_STATS
    from drf_spectacular.generators import SchemaGenerator

    GENERATOR_STATS.reset()
    with GENERATOR_STATS.silence():
        SchemaGenerator().get_schema(request=None, public=True)
    assert dict(GENERATOR_STATS._warn_cache) == {}
    assert dict(GENERATOR_STATS._error_cache) == {}


@pytest.mark.django_db
def test_the_docs_load_nothing_from_elsewhere(client: Client) -> None:
    page = client.get("/api/docs/").content.decode()
    assert "js/api-docs.js" in page
    assert 'src="http' not in page
    assert 'href="http' not in page
    assert "<script>" not in page
    script = b"".join(client.get("/static/js/api-docs.js").streaming_content)
    assert 0 < len(script) <= 10_240
