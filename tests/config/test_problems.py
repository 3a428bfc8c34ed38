"""Errors and bad input: problem details for programs, pages for people, the request id for both, nothing broken."""

import json
from typing import Any

import pytest
from django.core.exceptions import PermissionDenied
from django.core.exceptions import ValidationError as DjangoValidationError
from django.db import OperationalError
from django.http import Http404, HttpRequest, HttpResponse
from django.test import AsyncClient, Client, RequestFactory
from django.urls import path
from rest_framework import serializers
from rest_framework.exceptions import NotFound, Throttled
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from config.middleware import LARGEST_MULTIPART_BYTES, BadRequestMiddleware
from config.parsers import DEEPEST_JSON, StrictJSONParser


class Inner(serializers.Serializer):
    name = serializers.CharField(max_length=3)


class Outer(serializers.Serializer):
    size = serializers.IntegerField()
    items = Inner(many=True, required=False)
    inner = Inner(required=False)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if attrs["size"] == 13:
            raise serializers.ValidationError("Thirteen is unlucky.")
        return attrs


class Api(APIView):
    authentication_classes = []
    permission_classes = []
    parser_classes = [StrictJSONParser]

    def get(self, request: Request, kind: str) -> Response:
        raise {
            "not-found": NotFound("No such thing."),
            "throttled": Throttled(wait=7),
            "denied": PermissionDenied(),
            "django-404": Http404(),
            "model": DjangoValidationError({"slug": ["Taken."]}),
            "database": OperationalError("connection to server at 10.0.0.1 failed: secret"),
            "bug": RuntimeError("secret"),
        }[kind]

    def post(self, request: Request, kind: str) -> Response:
        data = Outer(data=request.data)
        data.is_valid(raise_exception=True)
        return Response(data.validated_data)


def page(request: HttpRequest, kind: str) -> HttpResponse:
    if kind == "post":
        return HttpResponse(f"{len(request.body)}")
    raise {
        "denied": PermissionDenied("Not for you <script>."),
        "missing": Http404("No such post."),
        "database": OperationalError("connection to server at 10.0.0.1 failed: secret"),
        "bug": RuntimeError("secret"),
    }[kind]


async def async_page(request: HttpRequest) -> HttpResponse:
    raise OperationalError("secret")


urlpatterns = [
    path("api/<str:kind>/", Api.as_view()),
    path("page/<str:kind>/", page),
    path("async/", async_page),
]
handler400 = "config.error_views.bad_request"
handler403 = "config.error_views.permission_denied"
handler404 = "config.error_views.page_not_found"
handler500 = "config.error_views.server_error"


@pytest.fixture(autouse=True)
def _only_what_is_tested(settings: Any) -> None:
    """Pages need the site's own address book; here the plain fallback is shown."""
    settings.ROOT_URLCONF = __name__
    settings.TEMPLATES = [{"BACKEND": "django.template.backends.django.DjangoTemplates"}]
    settings.MIDDLEWARE = [
        name for name in settings.MIDDLEWARE if name.startswith(("telemetry.", "config.", "django.middleware.common"))
    ]


@pytest.fixture
def client() -> Client:
    return Client(raise_request_exception=False)


def problem_of(response: Any, status: int) -> dict[str, Any]:
    assert response.status_code == status
    assert response.headers["Content-Type"] == "application/problem+json"
    members: dict[str, Any] = json.loads(response.content)
    assert members["status"] == status
    assert members["type"]
    assert members["title"]
    assert members["detail"]
    assert members["request_id"] == response.headers["X-Request-ID"]
    assert "secret" not in response.content.decode()
    return members


@pytest.mark.parametrize(
    ("kind", "status", "title", "detail"),
    [
        ("not-found", 404, "Not Found", "No such thing."),
        ("throttled", 429, "Too Many Requests", "Request was throttled. Expected available in 7 seconds."),
        ("denied", 403, "Forbidden", "You do not have permission to perform this action."),
        ("django-404", 404, "Not Found", "Not found."),
        ("database", 503, "Service Unavailable", "The service can't be reached at the moment."),
        ("bug", 500, "Internal Server Error", "Something went wrong here."),
    ],
)
def test_the_api_answers_exceptions_with_problem_details(
    client: Client, kind: str, status: int, title: str, detail: str
) -> None:
    members = problem_of(client.get(f"/api/{kind}/"), status)
    assert (members["type"], members["title"], members["instance"]) == ("about:blank", title, f"/api/{kind}/")
    assert members["detail"].startswith(detail)


def test_what_passes_says_when_to_come_again(client: Client) -> None:
    assert client.get("/api/database/").headers["Retry-After"] == "5"
    assert client.get("/page/database/").headers["Retry-After"] == "5"
    assert client.get("/api/throttled/").headers["Retry-After"] == "7"


def test_invalid_fields_are_named_with_their_messages(client: Client) -> None:
    body = {"size": "x", "items": [{"name": "ok"}, {"name": "long"}], "inner": {}}
    members = problem_of(client.post("/api/x/", body, content_type="application/json"), 400)
    assert members["type"] == "urn:glasshouse:problem:invalid"
    assert members["errors"] == {
        "size": ["A valid integer is required."],
        "items.1.name": ["Ensure this field has no more than 3 characters."],
        "inner.name": ["This field is required."],
    }


def test_what_concerns_no_field_stands_apart(client: Client) -> None:
    members = problem_of(client.post("/api/x/", {"size": 13}, content_type="application/json"), 400)
    assert members["errors"] == {"non_field_errors": ["Thirteen is unlucky."]}


def test_a_models_own_validation_is_the_clients_fault_as_well(client: Client) -> None:
    assert problem_of(client.get("/api/model/"), 400)["errors"] == {"slug": ["Taken."]}


def test_a_wrong_method_names_the_right_ones(client: Client) -> None:
    response = client.delete("/api/x/")
    problem_of(response, 405)
    assert "POST" in response.headers["Allow"]


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        ("{", "JSON parse error"),
        ('{"size": NaN}', "JSON parse error"),
        (b'{"size": "\xff"}', "JSON parse error"),
        ("[" * 100_000, "The JSON is nested more than"),
        ("[" * 100_000 + "]" * 100_000, "The JSON is nested more than"),
        ("[" * (DEEPEST_JSON + 1) + "]" * (DEEPEST_JSON + 1), "The JSON is nested more than"),
    ],
)
def test_broken_json_is_refused(client: Client, body: str | bytes, detail: str) -> None:
    response = client.post("/api/x/", body, content_type="application/json")
    assert problem_of(response, 400)["detail"].startswith(detail)


def test_json_as_deep_as_allowed_is_read(client: Client) -> None:
    body = "[" * DEEPEST_JSON + "]" * DEEPEST_JSON
    assert "nested" not in problem_of(client.post("/api/x/", body, content_type="application/json"), 400)["detail"]


def test_another_type_than_json_is_refused(client: Client) -> None:
    problem_of(client.post("/api/x/", "<a/>", content_type="application/xml"), 415)


def test_ten_megabytes_of_json_are_refused_before_they_are_read(client: Client, settings: Any) -> None:
    body = json.dumps({"size": 1, "text": "x" * 10_000_000})
    members = problem_of(client.post("/api/x/", body, content_type="application/json"), 413)
    assert "1,000,000 bytes" in members["detail"]
    assert client.post("/page/post/", body, content_type="text/plain").status_code == 413
    assert client.post("/page/post/", body[:1_000_000], content_type="text/plain").content == b"1000000"


def test_files_may_be_larger_but_not_without_end(client: Client) -> None:
    def send(length: int) -> int:
        request = RequestFactory().generic("POST", "/page/post/", b"-", "multipart/form-data; boundary=x")
        request.META["CONTENT_LENGTH"] = str(length)
        response = BadRequestMiddleware(lambda request: HttpResponse())(request)
        return int(response.status_code)

    assert send(LARGEST_MULTIPART_BYTES) == 200
    assert send(LARGEST_MULTIPART_BYTES + 1) == 413
    assert send(10**30) == 413


def test_a_body_without_length_is_refused_instead_of_lost(client: Client) -> None:
    response = client.get("/api/x/", headers={"Transfer-Encoding": "chunked"})
    assert "Content-Length" in problem_of(response, 411)["detail"]


@pytest.mark.parametrize("length", ["-1", "1e3", "²", "0x10"])
def test_a_length_that_is_no_number_is_refused(length: str) -> None:
    request = RequestFactory().post("/api/x/", "{}", content_type="application/json")
    request.META["CONTENT_LENGTH"] = length
    assert BadRequestMiddleware(lambda request: HttpResponse())(request).status_code == 400


@pytest.mark.parametrize("address", ["/api/not-found/?q=a%00b", "/api/a%00b/"])
def test_a_nul_in_the_address_is_refused(client: Client, address: str) -> None:
    problem_of(client.get(address), 400)


@pytest.mark.django_db  # what isn't there may be a post that has another address now
@pytest.mark.parametrize(("kind", "status"), [("denied", 403), ("missing", 404), ("database", 503), ("bug", 500)])
def test_people_get_a_page_with_the_request_id_and_no_traceback(client: Client, kind: str, status: int) -> None:
    response = client.get(f"/page/{kind}/", headers={"Accept": "text/html,*/*;q=0.8"})
    text = response.content.decode()
    assert response.status_code == status
    assert response.headers["Content-Type"].startswith("text/html")
    assert response.headers["X-Request-ID"] in text
    assert "secret" not in text
    assert "Traceback" not in text
    assert "<script>" not in text


@pytest.mark.django_db  # what isn't there may be a post that has another address now
def test_a_page_asked_for_as_json_fails_as_json(client: Client) -> None:
    response = client.get("/page/missing/", headers={"Accept": "application/json"})
    assert problem_of(response, 404)["detail"] == "No such post."


@pytest.mark.django_db  # what isn't there may be a post that has another address now
def test_an_unknown_address_tells_nothing_of_the_others(client: Client) -> None:
    members = problem_of(client.get("/api/un/known/"), 404)
    assert members["detail"] == "There is nothing at this address."
    assert client.get("/unknown/").status_code == 404


def test_a_foreign_host_is_a_bad_request(client: Client) -> None:
    problem_of(client.get("/api/not-found", headers={"Host": "evil.example"}), 400)


async def test_the_middleware_serves_async_views_too() -> None:
    client = AsyncClient(raise_request_exception=False)
    response = await client.get("/async/", headers={"Accept": "application/json"})
    assert response.status_code == 503
    assert json.loads(response.content)["title"] == "Service Unavailable"
    response = await client.get("/async/?q=%00", headers={"Accept": "application/json"})
    assert response.status_code == 400


def test_every_answer_has_a_policy_that_lets_in_no_foreign_script(client: Client, settings: Any) -> None:
    settings.BROWSER_SOCKET_PORT = 8001
    policy = client.get("/page/missing/").headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'self'; connect-src 'self' ws://testserver:8001 wss://testserver:8001;")
    assert "unsafe" not in policy
    settings.BROWSER_SOCKET_PORT = 0
    policy = client.get("/page/missing/", headers={"Host": "localhost:8000"}).headers["Content-Security-Policy"]
    assert "ws://localhost:8000 wss://localhost:8000" in policy
