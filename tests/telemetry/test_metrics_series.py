"""Label sets are bounded, and known ones are there from the beginning."""

from pathlib import Path

import pytest

from telemetry import metrics
from tests.telemetry.metric_processes import run

REFUSED = "telemetry_metric_series_refused_total"


def test_a_series_too_many_is_counted_as_other(tmp_path: Path) -> None:
    code = f"""
    few = metrics.counter("few_total", "Few.", ["path", "method"], most_series=3)
    for number in range(10):
        few.labels(f"/{{number}}", "GET").inc()
    few.labels("/1", "GET").inc()
    print(value("few_total", path="/1", method="GET"), value("few_total", path="/3", method="GET"))
    print(value("few_total", path="_OTHER", method="_OTHER"), value("{REFUSED}", metric="few_total"))
    """
    assert run(tmp_path, code).splitlines() == ["2.0 None", "7.0 7.0"]


def test_processes_that_come_one_after_another_have_together_no_more_series_than_one(tmp_path: Path) -> None:
    code = """
    few = metrics.histogram("few_seconds", "Few.", ["path"], buckets=[1], most_series=5)
    def work():
        for number in range(4):
            few.labels(f"/{os.getpid()}/{number}").observe(0.5)
    for _ in range(6):
        end(in_child(work))
    found = {s.labels["path"]: s.value for m in metrics.exposed_registry().collect() for s in m.samples
             if s.name == "few_seconds_count"}
    print(len(found), found["_OTHER"], sum(found.values()))
    """
    assert run(tmp_path, code) == "6 19.0 24.0"


def test_known_series_begin_at_zero(tmp_path: Path) -> None:
    code = """
    metrics.counter("jobs_total", "Jobs.", ["kind", "result"], known=[("a", "ok"), ("a", "failed")])
    metrics.histogram("job_seconds", "Jobs.", ["kind"], buckets=[1], known=["long", "short"])
    metrics.gauge("jobs_active", "Jobs.")
    print(value("jobs_total", kind="a", result="failed"), value("job_seconds_count", kind="short"))
    print(value("job_seconds_bucket", kind="long", le="+Inf"), value("jobs_active"))
    """
    assert run(tmp_path, code).splitlines() == ["0.0 0.0", "0.0 0.0"]


def test_labels_are_given_in_order_or_by_name_and_as_whatever_has_a_text(tmp_path: Path) -> None:
    code = """
    both = metrics.counter("both_total", "Both.", ["method", "status"])
    both.labels("GET", 200).inc()
    both.labels("GET", "200").inc()
    both.labels(status=200, method="GET").inc()
    print(value("both_total", method="GET", status="200"))
    """
    assert run(tmp_path, code) == "3.0"


def test_a_value_that_is_long_or_no_text_or_quoted_does_no_harm(tmp_path: Path) -> None:
    code = r"""
    from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse
    for odd in ("x" * 10_000, "\ud800", 'a "quoted"\nline \\', "", "ü"):
        things.labels(odd).inc()
    text = generate_openmetrics(metrics.exposed_registry()).decode()
    found = [s.labels["kind"] for m in parse(text) for s in m.samples if s.name == "things_total"]
    print(ascii(sorted(found, key=len)), max(map(len, found)))
    """
    expected = ascii(["", "?", "ü", 'a "quoted"\nline \\', "x" * 200])
    assert run(tmp_path, code) == f"{expected} 200"


def test_what_is_no_number_changes_nothing() -> None:
    sizes = metrics.histogram("test_odd_numbers_bytes", "Odd.", buckets=[1])
    count = metrics.counter("test_odd_numbers_total", "Odd.")

    sizes.observe(float("nan"))
    with pytest.raises(ValueError, match="only grows"):
        count.inc(-1)
    with pytest.raises(ValueError, match="only grows"):
        count.inc(float("nan"))

    assert (sizes.value, count.value) == (0, 0)


def test_a_value_on_a_bound_belongs_to_its_bucket() -> None:
    sizes = metrics.histogram("test_bounds_bytes", "Bounds.", buckets=[1, 2, float("inf")])
    for size in (1, 1.5, 2, 2.1):
        sizes.observe(size)

    registry = metrics.exposed_registry()
    found = [registry.get_sample_value("test_bounds_bytes_bucket", {"le": bound}) for bound in ("1.0", "2.0", "+Inf")]
    assert found == [1, 3, 4]


@pytest.mark.parametrize(
    ("name", "labels", "buckets"),
    [
        ("test_bad", [], None),  # a counter without _total
        ("test_bad_total", ["le"], None),
        ("test_bad_total", ["a-b"], None),
        ("Test_bad_total", [], None),
        ("telemetry_metric_series_refused_total", ["metric"], None),  # it exists
        ("test_bad_total", [], [1]),
        ("test_bad_seconds", [], []),
        ("test_bad_seconds", [], [2, 1]),
        ("test_bad_seconds", [], list(range(200))),
    ],
)
def test_a_bad_declaration_is_refused(name: str, labels: list[str], buckets: list[float] | None) -> None:
    with pytest.raises(ValueError, match=name):
        if buckets is None:
            metrics.counter(name, "Bad.", labels)
        else:
            metrics.histogram(name, "Bad.", labels, buckets=buckets)


def test_labels_that_were_not_declared_are_refused() -> None:
    count = metrics.counter("test_labels_total", "Labels.", ["a", "b"])

    for values, named in ((["1"], {}), ([], {}), ([], {"a": "1"}), (["1"], {"b": "2"}), ([], {"a": "1", "c": "2"})):
        with pytest.raises(ValueError, match="test_labels_total"):
            count.labels(*values, **named)
    with pytest.raises(ValueError, match="test_labels_total"):
        count.inc()
    with pytest.raises(ValueError, match="test_labels_total"):
        count.labels("1", "2").labels("1", "2")
