"""What fails tells nothing of the secrets that it met: views, statements, log lines and tasks."""

from collections.abc import Callable
from typing import Any

import pytest
from celery import shared_task
from django.conf import settings
from django.db import IntegrityError, connection, transaction
from django.http import HttpRequest, HttpResponse
from django.test import Client
from django.urls import include, path

import audit
from accounts.models import ApiToken, User
from config.celery import app as celery_app
from tasks.models import TaskRun
from telemetry import logs
from telemetry.context import Actor, Context, new_request_id, use
from telemetry.logs import get_logger
from telemetry.tracing.exporters import Redacting, default_exporters
from tests.audit.sinks import OTHER, PASSWORD, TOKEN, WRONG, Sinks

pytestmark = pytest.mark.django_db(transaction=True)


# --- failures ------------------------------------------------------------------------------------------------------


def fail_with_secrets(request: HttpRequest) -> HttpResponse:
    password = request.POST["password"]  # a local variable
    try:
        raise ValueError(f"Authorization: Bearer {TOKEN}")
    except ValueError as error:
        raise RuntimeError(f"password={password!r} secret_key: '{settings.SECRET_KEY}'") from error


def fail_in_the_database(request: HttpRequest) -> HttpResponse:
    password = request.POST["password"]
    with transaction.atomic():  # its refusal shows the whole row
        User.objects.create(username="una-too", password=password, email=None)  # type: ignore[misc]
    return HttpResponse()


def fail_on_a_key(request: HttpRequest) -> HttpResponse:
    owner = User.objects.get()
    with transaction.atomic():
        for _ in range(2):
            ApiToken.objects.create(user=owner, prefix="gh_", digest_hex=request.POST["password"])
    return HttpResponse()


def fail_in_raw_sql(request: HttpRequest) -> HttpResponse:
    with connection.cursor() as cursor:
        cursor.execute(f"UPDATE accounts_user SET password = '{request.POST['password']}', nothing = 1")
    return HttpResponse()


urlpatterns = [
    path("", include("config.urls")),
    path("fail/exception/", fail_with_secrets),
    path("fail/row/", fail_in_the_database),
    path("fail/key/", fail_on_a_key),
    path("fail/raw/", fail_in_raw_sql),
]
handler500 = "config.error_views.server_error"


@pytest.mark.urls(__name__)
@pytest.mark.parametrize("kind", ["exception", "row", "key", "raw"])
def test_a_failure_tells_nothing_of_the_secrets_that_it_met(sinks: Sinks, una: User, kind: str) -> None:
    client = Client(raise_request_exception=False)
    answer = client.post(f"/fail/{kind}/?token={TOKEN}", {"password": OTHER}, headers={"Accept": "application/json"})
    sinks.answers.append(answer)
    assert answer.status_code == 500

    sinks.assert_none_holds(OTHER, TOKEN[3:], PASSWORD)


def test_a_failure_logged_by_hand_by_whatever_means(sinks: Sinks, una: User) -> None:
    log = get_logger("test")
    try:
        with transaction.atomic():
            User.objects.create(username="una", password=OTHER)
    except IntegrityError as error:
        log.exception("test.failed")
        log.warning("test.failed", error=str(error), again=repr(error), error_args=error.args)
    log.info("test.said", text=f"new_password1='{OTHER} with blanks'", body={"credentials": {"passwd": PASSWORD}})
    log.info("test.said", text=f'{{"passwd": "{PASSWORD}", "api_key":"{TOKEN}"}}', headers=[("Cookie", PASSWORD)])
    log.info("test.said", text=f"postgresql://una:{PASSWORD}@localhost/db and redis://:{OTHER}@localhost")

    sinks.assert_none_holds(OTHER, PASSWORD, TOKEN[3:], "with blanks")


def test_what_goes_to_a_collector_is_redacted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
    _, collector = default_exporters()
    collector.shutdown()

    assert isinstance(collector, Redacting)


def test_a_failure_on_a_developers_console(sinks: Sinks, settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.TELEMETRY_LOG_FORMAT = "console"
    logs.configure()
    try:
        try:
            raise ValueError(f"password={OTHER}\nDETAIL:  Key (digest_hex)=({WRONG}) already exists.")
        except ValueError:
            get_logger("canary").exception("test.failed", token=TOKEN)
        told = sinks.capture.readouterr().out
    finally:
        settings.TELEMETRY_LOG_FORMAT = "json"
        logs.configure()

    assert "Traceback (most recent call last)" in told
    assert len(told.splitlines()) > 4
    assert not any(secret in told for secret in (OTHER, WRONG, TOKEN[3:]))


def test_a_reason_and_a_recorded_event(sinks: Sinks) -> None:
    with audit.reason(f"reset, password={OTHER}"):
        audit.record("test.reset.done", changes={"password": PASSWORD, "said": f"Bearer {TOKEN}"}, reason="")
        User.objects.create_user("una", password=WRONG)

    sinks.assert_none_holds(OTHER, PASSWORD, WRONG, TOKEN[3:])


# --- tasks ---------------------------------------------------------------------------------------------------------


@shared_task(name="tests.canary_quiet")
def quiet(*args: Any, **kwargs: Any) -> str:
    return f"Bearer {TOKEN}"


@shared_task(name="tests.canary_loud")
def loud(*args: Any, **kwargs: Any) -> None:
    raise ValueError(f"password={OTHER} Bearer {TOKEN}")


@shared_task(name="tests.canary_database")
def refused_by_the_database(*args: Any, **kwargs: Any) -> None:
    User.objects.create(username="una", password=OTHER)


@shared_task(name="tests.canary_again", bind=True, autoretry_for=(OSError,), max_retries=1)
def again(self: Any, *args: Any, **kwargs: Any) -> None:
    raise OSError(f"token={TOKEN} at https://una:{OTHER}@example.org/")


@pytest.fixture
def work_off() -> Callable[[], None]:
    """Return a function that runs the queue's next message as a worker's child does."""
    from celery.app.trace import trace_task

    def work() -> None:
        with celery_app.connection_for_read() as broker:
            queue = broker.SimpleQueue("default")
            message = queue.get(block=False)
            message.ack()
            queue.close()
            args, kwargs, embed = message.decode()
            request = {**message.headers, **embed, "args": args, "kwargs": kwargs, "hostname": "celery@test"}
            request["delivery_info"] = message.delivery_info
            trace_task(
                celery_app.tasks[message.headers["task"]], message.headers["id"], args, kwargs, request, app=celery_app
            )

    return work


@pytest.mark.parametrize("task", [quiet, loud, refused_by_the_database, again], ids=lambda task: task.name)
def test_a_tasks_arguments_result_and_errors(
    sinks: Sinks, una: User, work_off: Callable[[], None], client: Client, task: Any
) -> None:
    arguments = {"password": PASSWORD, "deep": {"api_token": TOKEN, "list": [f"password={PASSWORD}"]}}
    with use(Context(request_id=new_request_id(), origin="http", actor_source=Actor("user", str(una.pk), "una"))):
        task.delay(f"Bearer {TOKEN}", **arguments)
    work_off()
    if task is again:
        work_off()
    assert TaskRun.objects.get().is_finished
    una.is_superuser = True
    una.save()
    client.force_login(una)
    for address in ("/tasks/", f"/tasks/{TaskRun.objects.get().pk}/", "/api/tasks/runs/", "/audit/"):
        sinks.answers.append(client.get(address))

    sinks.assert_none_holds(PASSWORD, TOKEN[3:], OTHER)
