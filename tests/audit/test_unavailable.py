"""If the ledger can't be written, the change doesn't happen, and whoever asked for it is told to come again."""

import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import orjson
import psycopg
import pytest
from asgiref.sync import sync_to_async
from celery import shared_task
from django.db import IntegrityError, OperationalError, ProgrammingError, connection, connections, transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.test import AsyncClient, Client
from django.urls import path

import audit
from accounts.models import User
from audit.errors import LedgerUnavailableError
from audit.models import Event
from audit.unavailable import is_ledger_failure, reason_of
from blog import actions
from blog.models import Comment, Post
from config import commandline
from config.celery import app
from tasks import statements
from tasks.actions import enqueuing
from tasks.models import TaskRun
from telemetry.context import new_request_id
from telemetry.metrics import exposed_registry

pytestmark = pytest.mark.django_db(transaction=True)

PASSWORD = "correct horse battery staple"
RECORD = "public.audit_record_v1(text, text, text, text, jsonb, text)"
# How to break the ledger, how to mend it, and what the metric calls it. Each breaks captures and `record` alike.
BREAKS = {
    "a constraint": (
        "ALTER TABLE audit_event ADD CONSTRAINT broken CHECK (false) NOT VALID",
        "ALTER TABLE audit_event DROP CONSTRAINT broken",
        "constraint",
    ),
    "a right that was taken away": (
        "REVOKE INSERT ON audit_event FROM glasshouse_owner",
        "GRANT INSERT ON audit_event TO glasshouse_owner",
        "permission",
    ),
    "a table that is gone": (
        "ALTER TABLE audit_event RENAME TO audit_event_away",
        "ALTER TABLE audit_event_away RENAME TO audit_event",
        "missing",
    ),
    "a full disk": (
        "CREATE FUNCTION pg_temp_full() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE 'could not extend file' USING ERRCODE = 'disk_full'; END $$; "
        "CREATE TRIGGER full_disk BEFORE INSERT ON audit_event FOR EACH ROW EXECUTE FUNCTION pg_temp_full()",
        "DROP TRIGGER full_disk ON audit_event; DROP FUNCTION pg_temp_full()",
        "disk_full",
    ),
}
RECORD_BREAKS = {
    "a function that is gone": (
        f"ALTER FUNCTION {RECORD} RENAME TO audit_record_away",
        f"ALTER FUNCTION {RECORD.replace('record_v1', 'record_away')} RENAME TO audit_record_v1",
        "missing",
    ),
    "a function that may not be called": (
        f"REVOKE EXECUTE ON FUNCTION {RECORD} FROM glasshouse_app",
        f"GRANT EXECUTE ON FUNCTION {RECORD} TO glasshouse_app",
        "permission",
    ),
}
Broken = Callable[..., AbstractContextManager[None]]


@pytest.fixture
def broken(superuser: psycopg.Connection) -> Broken:
    """Give a block in which the ledger can't be written."""

    @contextmanager
    def block(how: str = "a constraint") -> Iterator[None]:
        breaking, mending, _ = {**BREAKS, **RECORD_BREAKS}[how]
        superuser.execute(breaking)
        try:
            yield
        finally:
            superuser.execute(mending)

    return block


@pytest.fixture
def author() -> User:
    from django.contrib.auth.models import Group

    user = User.objects.create_user("anna", password=PASSWORD)
    user.groups.set(Group.objects.filter(name="author"))
    return user


@pytest.fixture
def post(author: User) -> Post:
    return actions.publish_post(actions.create_post(actor=author, title="Seen", body="Text."), actor=author)


def failures() -> dict[str, float]:
    return {
        sample.labels["reason"]: sample.value
        for metric in exposed_registry().collect()
        for sample in metric.samples
        if sample.name == "audit_write_failures_total"
    }


def new_failures(before: dict[str, float]) -> dict[str, float]:
    return {
        reason: value - before.get(reason, 0) for reason, value in failures().items() if value != before.get(reason)
    }


@pytest.mark.parametrize("how", BREAKS)
def test_a_change_that_cant_be_recorded_does_not_happen_and_is_counted_once(how: str, broken: Broken) -> None:
    before = failures()
    with broken(how), pytest.raises(OperationalError, match="can't be written") as caught:
        User.objects.create(username="bob")

    assert is_ledger_failure(caught.value)
    assert reason_of(caught.value) == BREAKS[how][2]
    assert commandline.explain(caught.value) is None  # which would say that PostgreSQL isn't running
    assert new_failures(before) == {BREAKS[how][2]: 1}
    assert not User.objects.filter(username="bob").exists()


@pytest.mark.parametrize("how", [*BREAKS, *RECORD_BREAKS])
def test_an_event_that_cant_be_recorded_fails_alike(how: str, broken: Broken) -> None:
    before = failures()
    with broken(how), pytest.raises(OperationalError) as caught:
        audit.record("shop.order.paid")
    assert is_ledger_failure(caught.value)
    assert new_failures(before) == {{**BREAKS, **RECORD_BREAKS}[how][2]: 1}


def test_the_driver_itself_fails_alike(broken: Broken) -> None:
    with broken(), connection.cursor() as cursor, pytest.raises(LedgerUnavailableError) as caught:
        with cursor.copy("COPY auth_group (name) FROM STDIN") as copy:
            copy.write_row(["editors"])
    assert is_ledger_failure(caught.value)


def test_other_failures_are_not_the_ledgers(broken: Broken) -> None:
    User.objects.create(username="bob")
    before = failures()
    statements: list[Callable[[], Any]] = [
        lambda: User.objects.create(username="bob"),
        lambda: connection.cursor().execute("SELECT audit_mask_v1('x')"),
        lambda: connection.cursor().execute("UPDATE audit_event SET action = ''"),
        lambda: connection.cursor().execute("SELECT audit_capture_nothing_insert()"),
        lambda: connection.cursor().execute("SELECT 1/0 -- audit_record_v1("),
    ]
    for statement in statements:
        with pytest.raises((IntegrityError, ProgrammingError, Exception)) as caught, transaction.atomic():
            statement()
        assert not is_ledger_failure(caught.value)
    assert not is_ledger_failure(OperationalError("the connection is closed"))
    assert not is_ledger_failure(psycopg.OperationalError("audit_record_v1("))
    assert new_failures(before) == {}


def test_what_was_raised_from_a_ledger_failure_is_one() -> None:
    def wrapped(*, suppressed: bool) -> Exception:
        failure, wrapper = LedgerUnavailableError("full"), ValueError()
        wrapper.__context__, wrapper.__suppress_context__ = failure, suppressed
        return wrapper

    assert is_ledger_failure(wrapped(suppressed=False))
    assert not is_ledger_failure(wrapped(suppressed=True))


class TestPlatform:
    """The platform's own pages and API."""

    def test_a_page_answers_503_with_the_request_id(self, broken: Broken, author: User, post: Post) -> None:
        client = Client()
        client.force_login(author)
        with broken():
            response = client.post(f"/blog/{post.slug}/comment/", {"body": "Well said."})

        assert response.status_code == 503
        assert response.headers["Content-Type"].startswith("text/html")
        assert response.headers["Retry-After"] == "5"
        assert response.headers["X-Request-ID"] in response.content.decode()
        assert "be recorded at the moment, so it was not done" in response.content.decode()
        assert not Comment.objects.exists()
        assert client.post(f"/blog/{post.slug}/comment/", {"body": "Well said."}).status_code == 302

    def test_a_login_that_cant_be_recorded_logs_nobody_in(self, broken: Broken, author: User) -> None:
        client = Client()
        with broken("a function that is gone"):
            response = client.post("/accounts/login/", {"username": "anna", "password": PASSWORD})
        assert response.status_code == 503
        assert "_auth_user_id" not in client.session

    @pytest.mark.parametrize("how", BREAKS)
    def test_the_api_answers_with_problem_details(self, how: str, broken: Broken, author: User, post: Post) -> None:
        client = Client()
        client.force_login(author)
        before = failures()
        with broken(how):
            response = client.post("/api/blog/posts/", {"title": "New", "body": "x"}, content_type="application/json")

        problem = orjson.loads(response.content)
        assert response.status_code == problem["status"] == 503
        assert response.headers["Content-Type"] == "application/problem+json"
        assert response.headers["Retry-After"] == "5"
        assert problem["request_id"] == response.headers["X-Request-ID"]
        assert "be recorded at the moment" in problem["detail"]
        assert new_failures(before) == {BREAKS[how][2]: 1}
        assert list(Post.objects.values_list("title", flat=True)) == ["Seen"]

    def test_a_read_of_the_ledger_that_cant_be_recorded_gives_nothing(self, broken: Broken) -> None:
        client = Client()
        client.force_login(User.objects.create_superuser("ada"))
        with broken("a right that was taken away"):
            response = client.get("/api/audit/events/")
        assert response.status_code == 503
        assert "results" not in orjson.loads(response.content)

    def test_the_log_holds_no_values(
        self, broken: Broken, author: User, post: Post, capsys: pytest.CaptureFixture[str]
    ) -> None:
        client = Client()
        client.force_login(author)
        capsys.readouterr()
        with broken():
            client.post(f"/blog/{post.slug}/comment/", {"body": "canary-4711"})
        written = capsys.readouterr().out
        assert '"event":"audit.ledger_unavailable"' in written
        assert '"reason":"constraint"' in written
        assert "canary-4711" not in written


# --- any project ---------------------------------------------------------------------------------------------------


def write(request: HttpRequest) -> HttpResponse:
    User.objects.create(username="bob")
    return HttpResponse()


async def write_async(request: HttpRequest) -> HttpResponse:
    await User.objects.acreate(username="bob")
    return HttpResponse()


def misread(request: HttpRequest) -> HttpResponse:
    try:
        User.objects.create(username="bob")
    except IntegrityError:
        raise Http404("There is a bob.") from None
    return HttpResponse()


def fail(request: HttpRequest) -> HttpResponse:
    raise ValueError("a bug")


urlpatterns = [path("sync/", write), path("async/", write_async), path("misread/", misread), path("bug/", fail)]


class TestAnyProject:
    """The middleware that projects of others install."""

    @pytest.fixture(autouse=True)
    def _project(self, settings: Any) -> None:
        settings.ROOT_URLCONF = __name__
        telemetry = [name for name in settings.MIDDLEWARE if name.startswith("telemetry.")]
        settings.MIDDLEWARE = [*telemetry, "audit.middleware.AuditMiddleware"]

    @pytest.mark.parametrize("address", ["/sync/", "/async/", "/misread/"])
    @pytest.mark.parametrize("accept", ["text/html", "application/json"])
    def test_a_view_answers_503(self, broken: Broken, address: str, accept: str) -> None:
        with broken():
            response = Client().get(address, headers={"Accept": accept})

        assert response.status_code == 503
        assert response.headers["Retry-After"] == "5"
        request_id = response.headers["X-Request-ID"]
        if accept == "text/html":
            assert response.headers["Content-Type"] == "text/plain; charset=utf-8"
            assert response.content.decode().endswith(f"Request id: {request_id}\n")
        else:
            assert orjson.loads(response.content)["request_id"] == request_id
        assert not User.objects.exists()

    @pytest.mark.parametrize("address", ["/sync/", "/async/"])
    async def test_an_asynchronous_server_answers_503(self, broken: Broken, address: str) -> None:
        try:
            with broken():
                response = await AsyncClient().get(address)
            assert response.status_code == 503
            assert response.headers["X-Request-ID"]
            assert not await User.objects.aexists()
        finally:
            await sync_to_async(connections.close_all)()

    def test_nothing_else_is_touched(self) -> None:
        client = Client(raise_request_exception=False)
        assert client.get("/sync/").status_code == 200
        assert client.get("/misread/").status_code == 404
        assert client.get("/bug/").status_code == 500

    def test_without_telemetry_there_is_a_request_id_as_well(self, broken: Broken, settings: Any) -> None:
        settings.MIDDLEWARE = ["audit.middleware.AuditMiddleware"]
        with broken():
            response = Client().get("/sync/")
        assert response.status_code == 503
        assert len(response.headers["X-Request-ID"]) == 32


# --- tasks ---------------------------------------------------------------------------------------------------------

_attempts: list[int] = []
_before_second_attempt: list[Callable[[], Any]] = []


@shared_task(name="tests.write_twice", is_recorded=False)
def write_twice() -> None:
    with transaction.atomic():
        User.objects.create(username="first")
        User.objects.create(username="second")


@shared_task(
    name="tests.write_with_retry",
    is_recorded=False,
    bind=True,
    autoretry_for=(OperationalError,),
    default_retry_delay=0,
    max_retries=2,
)
def write_with_retry(self: Any) -> None:
    _attempts.append(self.request.retries)
    if self.request.retries == 1:
        _before_second_attempt[0]()
    write_twice.run()


class TestTasks:
    """Background tasks fail or are tried again, and leave nothing half-written."""

    @pytest.fixture(autouse=True)
    def _forget(self) -> None:
        _attempts.clear()
        _before_second_attempt.clear()

    def test_a_task_fails_and_is_counted(self, broken: Broken) -> None:
        before = failures()
        with broken("a full disk"):
            result = app.tasks[write_twice.name].apply()
        assert result.state == "FAILURE"
        assert is_ledger_failure(result.result)
        assert new_failures(before) == {"disk_full": 1}
        assert not User.objects.exists()

    def test_a_task_that_is_tried_again_writes_once_the_ledger_is_back(self, superuser: psycopg.Connection) -> None:
        breaking, mending, _ = BREAKS["a right that was taken away"]
        superuser.execute(breaking)
        _before_second_attempt.append(lambda: superuser.execute(mending))
        try:
            result = app.tasks[write_with_retry.name].apply()
        finally:
            superuser.execute(mending)
        assert (result.state, _attempts) == ("SUCCESS", [0, 1])
        assert User.objects.count() == 2
        assert Event.objects.filter(action="accounts.user.created").count() == 2

    def test_a_recorded_task_whose_row_cant_be_recorded_ends_instead_of_trying_for_ever(
        self, broken: Broken, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        tries: list[int] = []
        rows_of = statements.rows_of

        def count(*args: Any, **kwargs: Any) -> Any:
            tries.append(1)
            if len(tries) > 1:
                pytest.fail("It is tried again.")
            return rows_of(*args, **kwargs)

        monkeypatch.setattr(statements, "rows_of", count)
        with broken(), pytest.raises(OperationalError):
            enqueuing.adopt_run(
                uuid.UUID(new_request_id()), name="tests.lost", queue="", args=[], kwargs={}, options={}, max_attempts=1
            )
        assert not TaskRun.objects.exists()
