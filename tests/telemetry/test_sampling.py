"""What is recorded is decided at the head by rule; what fails or is slow is kept all the same, with all that it did."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.test import Client
from opentelemetry import trace

from telemetry import conf
from telemetry.metrics import exposed_registry
from telemetry.tracing import sampling
from tests.telemetry.conftest import Finished

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.telemetry.views")]
Configure = Callable[..., None]


@pytest.fixture
def configure(settings: Any) -> Iterator[Configure]:
    """Return a function that sets telemetry's settings and has them read anew."""

    def forget() -> None:
        sampling.forget()
        conf.slow_ns.cache_clear()

    def change(**values: Any) -> None:
        for name, value in values.items():
            setattr(settings, name, value)
        forget()

    yield change
    settings.finalize() if hasattr(settings, "finalize") else None
    forget()


def decisions(origin: str, decision: str) -> float:
    labels = {"origin": origin, "decision": decision}
    return exposed_registry().get_sample_value("telemetry_traces_total", labels) or 0


def test_the_first_rule_that_fits_gives_the_share(configure: Configure) -> None:
    configure(
        TELEMETRY_SAMPLING_RULES=[("http /blog/admin*", 1), ("http /blog/*", 0.25), ("task *", 0)],
        TELEMETRY_SAMPLE_RATIO=0.5,
    )

    assert sampling.ratio_of("http", "/blog/admin/1") == 1
    assert sampling.ratio_of("http", "/blog/a-post/") == 0.25
    assert sampling.ratio_of("task", "blog.publish") == 0
    assert sampling.ratio_of("websocket", "/ws/chat/a/") == 0.5


def test_the_share_is_kept_to_over_many_traces(configure: Configure) -> None:
    configure(TELEMETRY_SAMPLE_RATIO=0.1)
    step = (1 << 64) // 1_000
    sampled = sum(sampling.is_sampled(None, number * step, "http", "/") for number in range(1_000))

    assert 99 <= sampled <= 101


def test_what_is_not_sampled_leaves_no_span_and_is_counted(
    client: Client, configure: Configure, finished_spans: Finished
) -> None:
    configure(TELEMETRY_SAMPLE_RATIO=0)
    before = decisions("http", "out")
    answer = client.get("/t/repeating/2/")

    assert finished_spans() == []
    assert decisions("http", "out") == before + 1
    assert answer["traceparent"].endswith("-00")


def test_an_error_is_kept_with_its_statements_though_it_was_not_sampled(
    client: Client, configure: Configure, finished_spans: Finished
) -> None:
    configure(TELEMETRY_SAMPLE_RATIO=0)
    client.raise_request_exception = False
    client.get("/t/failing-statement/")
    spans = finished_spans()
    root = next(span for span in spans if span["kind"] == "server")

    assert root["attributes"]["sampling.decision"] == "error"
    assert "SELECT there_is_no_such_table" in {span["name"] for span in spans}
    assert all(span["parent_id"] == root["span_id"] for span in spans if span is not root)


def test_a_slow_request_is_kept_though_it_was_not_sampled(
    client: Client, configure: Configure, finished_spans: Finished
) -> None:
    configure(TELEMETRY_SAMPLE_RATIO=0, TELEMETRY_SLOW_SECONDS={"http": 0.0})
    client.get("/t/repeating/2/")
    spans = finished_spans()

    assert [span["attributes"].get("sampling.decision") for span in spans if span["kind"] == "server"] == ["slow"]
    assert len([span for span in spans if span["name"] == "SELECT auth_group"]) == 2


def test_metrics_and_lines_are_never_sampled(
    client: Client, configure: Configure, capsys: pytest.CaptureFixture[str]
) -> None:
    configure(TELEMETRY_SAMPLE_RATIO=0)
    labels = {"db_operation_name": "SELECT", "db_collection_name": "auth_group"}
    name = "db_client_operation_duration_seconds_count"
    before = exposed_registry().get_sample_value(name, labels) or 0
    client.get("/t/repeating/2/")

    assert exposed_registry().get_sample_value(name, labels) == before + 2
    assert '"event":"http.request"' in capsys.readouterr().out.replace(" ", "")


def test_a_librarys_span_below_an_unsampled_request_is_not_recorded(configure: Configure, rf: Any) -> None:
    from django.http import HttpResponse

    from telemetry.http.middleware import TelemetryMiddleware

    configure(TELEMETRY_SAMPLE_RATIO=0)
    seen: list[bool] = []

    def view(request: Any) -> HttpResponse:
        with trace.get_tracer("library").start_as_current_span("inner") as span:
            seen.append(span.is_recording())
        return HttpResponse()

    TelemetryMiddleware(view)(rf.get("/"))

    assert seen == [False]
