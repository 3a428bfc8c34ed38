"""A scrape outlives what happens to files: it reads what it can, and counts what it can't."""

from pathlib import Path

import pytest

from tests.telemetry.metric_processes import run

UNREADABLE = "telemetry_metrics_files_unreadable_total"
# Two processes at once, so that slot 0 and slot 1 have both: things a and b.
COUNT = """
def work():
    things.labels("a").inc(2)
    things.labels("b").inc(1)
work()
end(in_child(work))
"""
TELL = f"""
print(value("things_total", kind="a"), value("things_total", kind="b"), value("{UNREADABLE}") > 0)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder in which two slots hold counts."""
    run(tmp_path, COUNT)
    return tmp_path


@pytest.mark.parametrize("damage", ["empty", "short header", "foreign", "absurd length", "folder"])
def test_a_file_that_is_no_file_of_values_is_counted_and_the_others_are_read(folder: Path, damage: str) -> None:
    path = folder / "slot-1.metrics"
    whole = path.read_bytes()
    path.unlink()
    if damage == "folder":
        path.mkdir()
    else:
        path.write_bytes(
            {
                "empty": b"",
                "short header": whole[:100],
                "foreign": b"SQLite format 3\0" + whole[16:],
                "absurd length": whole[:16] + b"\xff" * 8 + whole[24:],
            }[damage]
        )

    assert run(folder, TELL) == "2.0 1.0 True"


@pytest.mark.parametrize("damage", ["cut", "torn"])
def test_a_damaged_file_is_read_as_far_as_it_goes(folder: Path, damage: str) -> None:
    path = folder / "slot-1.metrics"
    whole = path.read_bytes()
    at = whole.index(b'"b"]')
    path.write_bytes(whole[:at] if damage == "cut" else whole[:at] + b"x" + whole[at + 1 :])

    assert run(folder, TELL) == "4.0 1.0 True"


def test_who_takes_a_damaged_slot_keeps_what_is_whole_and_counts_on(folder: Path) -> None:
    path = folder / "slot-0.metrics"
    whole = path.read_bytes()
    at = whole.index(b'"b"]')
    path.write_bytes(whole[:at] + b"x" + whole[at + 1 :])

    assert run(folder, "things.labels('b').inc(10);" + TELL) == "4.0 11.0 True"
    path.write_bytes(b"rubbish")
    assert run(folder, "things.labels('b').inc(10);" + TELL) == "2.0 11.0 True"
    assert run(folder, "things.labels('b').inc(10); print(value('things_total', kind='b'))") == "21.0"


def test_an_entry_that_was_written_but_not_yet_counted_in_is_not_there(folder: Path) -> None:
    path = folder / "slot-1.metrics"
    whole = bytearray(path.read_bytes())
    used = int.from_bytes(whole[16:24], "little")
    whole[used : used + 40] = b"half of an entry, and not more of it, see"[:40]
    path.write_bytes(whole)

    assert run(folder, TELL.replace("> 0", "")) == "4.0 2.0 0.0"
    code = "end(in_child(lambda: things.labels('c').inc()));" + "print(value('things_total', kind='c'))"
    assert run(folder, code) == "1.0"


def test_a_folder_that_goes_away_is_counted_and_the_scrape_answers(tmp_path: Path) -> None:
    code = """
    import shutil
    from telemetry.metrics import own
    things.labels("a").inc()
    shutil.rmtree(sys.argv[1])
    print(value("things_total", kind="a"), own.FILES_UNREADABLE.value)
    """
    assert run(
        tmp_path / "metrics", code.replace("metrics.own", "__import__('telemetry.metrics.own').metrics.own")
    ) == ("None 1.0")


def test_scrapes_see_counts_only_rise_while_files_grow_and_are_replaced(tmp_path: Path) -> None:
    code = f"""
    many = metrics.counter("many_total", "Many.", ["number"], most_series=20_000)
    def work():
        for number in range(4_000):
            many.labels(f"{{os.getpid()}} {{number}} {{'x' * 50}}").inc()
    def total():
        return sum(s.value for m in metrics.exposed_registry().collect() for s in m.samples if s.name == "many_total")
    children = [in_child(work) for _ in range(2)]
    seen = [0]
    while children:
        children = [pid for pid in children if os.waitpid(pid, os.WNOHANG)[0] == 0]
        seen.append(total())
    children = [in_child(work)]
    end(*children)
    seen.append(total())
    assert seen == sorted(seen), seen
    print(seen[-1], value("{UNREADABLE}"))
    """
    assert run(tmp_path, code) == "12000.0 0.0"


def test_a_slot_that_was_deleted_is_forgotten_and_a_new_one_is_read(folder: Path) -> None:
    code = """
    before = value("things_total", kind="a")
    for path in os.scandir(sys.argv[1]):
        if "slot-1." in path.name:
            os.unlink(path)
    middle = value("things_total", kind="a")
    end(in_child(lambda: things.labels("a").inc(5)))
    print(before, middle, value("things_total", kind="a"))
    """
    assert run(folder, code) == "4.0 2.0 7.0"


def test_a_full_disk_counts_as_other_and_disturbs_nobody(tmp_path: Path) -> None:
    code = """
    import resource, signal
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (70_000, 70_000))
    for number in range(1500):
        sizes.labels(f"{number} {'x' * 100}").observe(5, {"trace_id": "a"})
    refused = [value("telemetry_metric_series_refused_total", metric=name) for name in ("thing_size_bytes", "_OTHER")]
    print(sum(filter(None, refused)) > 0)
    print(value("thing_size_bytes_count", kind="0 " + "x" * 100))
    """
    assert run(tmp_path, code).splitlines() == ["True", "1.0"]


def test_what_a_project_counts_with_prometheus_client_itself_is_there_too(tmp_path: Path) -> None:
    """Counts of processes that came after each other in one slot add up; a gauge of a dead one is no ghost."""
    count = """
        from prometheus_client import Counter, Gauge
        theirs = Counter("theirs_total", "Counted by a library.", ["kind"])
        lively = Gauge("lively", "Set by a library.", multiprocess_mode="livesum")
        theirs.labels("a").inc(2)
        lively.set(5)
        end(in_child(lambda: (theirs.labels("a").inc(), lively.set(7))))
        print(value("theirs_total", kind="a"), value("lively"))
    """

    assert run(tmp_path, count) == "3.0 5.0"
    assert run(tmp_path, count) == "6.0 5.0"
    assert len(list((tmp_path / "prometheus_client").glob("counter_*.db"))) == 2
