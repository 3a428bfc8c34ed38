"""Exemplars lead from a number to a trace, over all processes."""

from pathlib import Path

import pytest

from telemetry import metrics
from telemetry.metrics import own
from tests.telemetry.metric_processes import run


def test_the_newest_exemplar_of_all_processes_is_told(tmp_path: Path) -> None:
    run(tmp_path, "sizes.labels('a').observe(5, {'trace_id': 'first'}); things.labels('a').inc(2, {'trace_id': 'one'})")
    code = """
    end(in_child(lambda: sizes.labels("a").observe(6, {"trace_id": "second"})))
    sizes.labels("a").observe(500, {"trace_id": "big"})
    sizes.labels("a").observe(7)
    for line in lines("thing_size_bytes_bucket") + lines("things_total"):
        print(line.rpartition(" ")[0])
    """
    assert run(tmp_path, code).splitlines() == [
        'thing_size_bytes_bucket{kind="a",le="1.0"}',
        'thing_size_bytes_bucket{kind="a",le="10.0"} 3.0 # {trace_id="second"} 6.0',
        'thing_size_bytes_bucket{kind="a",le="100.0"}',
        'thing_size_bytes_bucket{kind="a",le="+Inf"} 4.0 # {trace_id="big"} 500.0',
        'things_total{kind="a"} 2.0 # {trace_id="one"} 2.0',
    ]


def test_the_format_that_knows_no_exemplars_has_none_and_openmetrics_is_well_formed(tmp_path: Path) -> None:
    code = r"""
    from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse
    from prometheus_client.parser import text_string_to_metric_families as parse_plain
    labels = {"trace_id": 'a"b"\\c\nd', "user": "ü"}
    sizes.labels("a").observe(5, labels)
    active.set(float("inf"))
    families = parse(generate_openmetrics(metrics.exposed_registry()).decode())
    found = [s for m in families for s in m.samples if s.exemplar]
    assert [sample.exemplar.labels for sample in found] == [labels], found
    plain = generate_latest(metrics.exposed_registry()).decode()
    assert "trace_id" not in plain and "# EOF" not in plain
    assert {m.name: m.type for m in parse_plain(plain)}["things_active"] == "gauge"
    print(sum(1 for m in parse_plain(plain) for s in m.samples if s.name.startswith("thing_size")), lines("things_act"))
    """
    assert run(tmp_path, code) == "6 ['things_active +Inf']"


@pytest.mark.parametrize(
    "refused",
    [
        {"trace_id": "x" * 121},
        {"trace-id": "1"},
        {"trace_id": 1},
        {"trace_id": None},
        {"": "1"},
        {"a": "\ud800"},
        {"a": "\0" * 127},  # fits OpenMetrics, and no record
    ],
)
def test_an_exemplar_that_cannot_be_told_is_counted_and_the_value_counts(refused: dict[str, str]) -> None:
    series = SIZES.labels(str(len(str(refused))))
    before, refused_before = series.value, own.EXEMPLARS_REFUSED.value

    series.observe(3, refused)

    assert series.value == before + 3
    assert own.EXEMPLARS_REFUSED.value == refused_before + 1


def test_an_exemplar_of_128_characters_is_told(tmp_path: Path) -> None:
    code = """
    things.labels("a").inc(1, {"trace_id": "x" * 120})
    things.labels("b").inc(1, {"trace_id": "ü" * 120})
    print(*("trace_id" in line for line in lines("things_total")))
    """
    assert run(tmp_path, code) == "True True"


def test_exemplars_are_bounded_and_the_oldest_give_way(tmp_path: Path) -> None:
    code = """
    def work():
        for number in range(1500):
            things.labels(str(number)).inc(1, {"trace_id": str(number)})
    end(in_child(work))
    end(in_child(lambda: things.labels("0").inc(1, {"trace_id": "again"})))  # in the same slot
    found = [line for line in lines("things_total") if "trace_id" in line]
    print(len(found), any('"again"' in line for line in found), any('kind="475"' in line for line in found),
          any('kind="477"' in line for line in found))
    """
    assert run(tmp_path, code) == "1024 True False True"
    assert {path.stat().st_size for path in tmp_path.glob("*.exemplars")} == {640 * 1025}


def test_a_half_written_exemplar_and_those_of_other_values_are_passed_over(tmp_path: Path) -> None:
    run(tmp_path, "things.labels('a').inc(1, {'trace_id': 'a'}); things.labels('b').inc(1, {'trace_id': 'b'})")
    path = tmp_path / "slot-0.exemplars"
    whole = bytearray(path.read_bytes())
    whole[640 + 10] ^= 1
    path.write_bytes(whole)
    told = "print(len([line for line in lines('things_total') if 'trace_id' in line]), len(lines('things_total')))"

    assert run(tmp_path, told) == "1 2"
    assert run(tmp_path, "things.labels('a').inc(1, {'trace_id': 'c'});" + told) == "2 2"
    (tmp_path / "slot-0.metrics").unlink()
    assert run(tmp_path, "things.labels('new').inc();" + told) == "0 1"
    path.write_bytes(b"rubbish")
    assert run(tmp_path, told) == "0 1"
    assert run(tmp_path, "things.labels('new').inc(1, {'trace_id': 'd'});" + told) == "1 1"


SIZES = metrics.histogram("test_exemplar_sizes_bytes", "Sizes.", ["kind"], buckets=[1, 10])
