"""Counts of many processes are read once, exactly, and outlive the processes, however they end."""

from pathlib import Path

from tests.telemetry.metric_processes import finish, run, start


def files(directory: Path) -> int:
    return len(list(directory.glob("slot-*.metrics")))


def test_counts_of_processes_add_up_and_files_stay_as_many_as_ran_at_once(tmp_path: Path) -> None:
    for _ in range(4):
        run(tmp_path, "things.labels('a').inc()")

    assert run(tmp_path, "things.labels('a').inc(); print(value('things_total', kind='a'))") == "5.0"
    assert files(tmp_path) == 1


def test_a_forked_child_counts_in_a_slot_of_its_own(tmp_path: Path) -> None:
    code = """
    things.labels('a').inc()
    for _ in range(3):
        end(in_child(lambda: things.labels('a').inc(10)))
    things.labels('a').inc()
    print(value('things_total', kind='a'))
    """
    assert run(tmp_path, code) == "32.0"
    assert files(tmp_path) == 2  # the children came one after another


def test_a_dead_process_leaves_no_ghost_in_a_gauge(tmp_path: Path) -> None:
    run(tmp_path, "active.set(7); os._exit(0)")

    assert run(tmp_path, "active.set(2); print(value('things_active'))") == "2.0"
    assert run(tmp_path, "print(value('things_active'))") == "0.0"


def test_a_gauge_is_the_sum_over_the_living(tmp_path: Path) -> None:
    code = "active.set(3); print('set', flush=True); sys.stdin.read()"
    replicas = [start(tmp_path, code) for _ in range(3)]
    for replica in replicas:
        assert replica.stdout is not None
        assert replica.stdout.readline() == "set\n"

    assert run(tmp_path, "active.inc(); print(value('things_active'))") == "10.0"

    replicas[0].kill()
    replicas[0].communicate()
    assert run(tmp_path, "active.dec(); print(value('things_active'))") == "5.0"
    for replica in replicas[1:]:
        finish(replica)


def test_replicas_that_recycle_two_hundred_workers_lose_and_repeat_nothing(tmp_path: Path) -> None:
    code = """
    def work():
        for number in range(20):
            things.labels("abcd"[number % 4]).inc()
            sizes.labels("a").observe(number * 10, {"trace_id": f"{os.getpid():032x}"})
        active.inc()
    for _ in range(25):
        end(in_child(work), in_child(work))
    """
    for replica in [start(tmp_path, code) for _ in range(4)]:
        finish(replica)

    code = """
    print(*(value("things_total", kind=kind) for kind in "abcd"))
    print(*(value("thing_size_bytes_bucket", kind="a", le=bound) for bound in ("1.0", "10.0", "100.0", "+Inf")))
    print(value("thing_size_bytes_count", kind="a"), value("thing_size_bytes_sum", kind="a"), value("things_active"))
    print(sum("trace_id" in line for line in lines("thing_size_bytes_bucket")))
    """
    counts, buckets, rest, exemplars = run(tmp_path, code).splitlines()
    assert counts == "1000.0 1000.0 1000.0 1000.0"
    assert buckets == "200.0 400.0 2200.0 4000.0"
    assert rest == "4000.0 380000.0 0.0"
    assert exemplars == "4"
    assert files(tmp_path) <= 4 * 3  # four replicas, each with two workers at once
    assert sum(file.stat().st_size for file in tmp_path.iterdir()) < 12 * 1_000_000


def test_a_kill_in_the_midst_of_counting_loses_nothing_that_was_counted(tmp_path: Path) -> None:
    # Each count makes a series too, so that kills hit the writing of entries as well as of cells.
    code = """
    import signal
    told = 0
    for round_ in range(40):
        reading, writing = os.pipe()
        def work():
            for number in range(100_000):
                things.labels(f"{round_} {number}").inc()
                os.write(writing, b".")
        pid = in_child(work)
        os.close(writing)
        told += len(os.read(reading, 1))
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        while read := os.read(reading, 65536):
            told += len(read)
        os.close(reading)
    samples = [s for m in metrics.exposed_registry().collect() for s in m.samples if s.name == "things_total"]
    counted = sum(sample.value for sample in samples)
    assert told <= counted <= told + 40, (told, counted)
    assert value("telemetry_metrics_files_unreadable_total") == 0
    """
    run(tmp_path, code)
    assert files(tmp_path) == 2


def test_a_fork_while_other_threads_count_neither_hangs_nor_loses(tmp_path: Path) -> None:
    code = """
    import threading
    is_over = threading.Event()
    counted = [0] * 3
    def count(number):
        series = things.labels("thread")
        while not is_over.is_set():
            series.inc()
            counted[number] += 1
    threads = [threading.Thread(target=count, args=[number]) for number in range(3)]
    for thread in threads:
        thread.start()
    for _ in range(30):
        end(in_child(lambda: things.labels("child").inc()))
    is_over.set()
    for thread in threads:
        thread.join()
    print(value("things_total", kind="child"), value("things_total", kind="thread") == sum(counted))
    """
    assert run(tmp_path, code) == "30.0 True"


def test_what_was_not_counted_since_a_fork_is_not_counted_in_the_parents_cells(tmp_path: Path) -> None:
    code = """
    first, second = things.labels("first"), things.labels("second")
    def work():
        second.inc(5)  # in another order than the parent
        first.inc(3)
        sizes.labels("new").observe(5)
    end(in_child(work), in_child(work))
    print(first.value, second.value, value("things_total", kind="first"), value("things_total", kind="second"))
    """
    assert run(tmp_path, code) == "0.0 0.0 6.0 10.0"


def test_a_signals_handler_may_count_while_its_thread_counts(tmp_path: Path) -> None:
    code = """
    import signal
    series = things.labels("a")
    signal.signal(signal.SIGALRM, lambda number, frame: things.labels("signal").inc())
    signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
    for _ in range(100_000):
        series.inc()
    signal.setitimer(signal.ITIMER_REAL, 0)
    print(series.value, things.labels("signal").value > 0)
    """
    assert run(tmp_path, code) == "100000.0 True"


def test_counts_of_an_older_release_with_other_buckets_and_help_go_on(tmp_path: Path) -> None:
    run(tmp_path, "sizes.labels('a').observe(5); things.labels('a').inc()")
    older = """
    from telemetry.metrics.families import families
    del families["thing_size_bytes"], families["things_total"]
    sizes = metrics.histogram("thing_size_bytes", "Sizes, said otherwise.", ["kind"], buckets=[1, 5, 1000])
    things = metrics.counter("things_total", "Things, said otherwise.", ["kind", "colour"])
    sizes.labels("a").observe(500)
    things.labels("a", "red").inc()
    print(*(value("thing_size_bytes_bucket", kind="a", le=bound) for bound in ("5.0", "10.0", "1000.0", "+Inf")))
    print(value("thing_size_bytes_count", kind="a"), value("things_total", kind="a"))
    print(value("things_total", kind="a", colour="red"), "otherwise" in lines("# HELP things ")[0])
    """
    assert run(tmp_path, older).splitlines() == ["0.0 1.0 2.0 2.0", "2.0 1.0", "1.0 True"]


def test_without_a_folder_a_process_reads_its_own_counts(tmp_path: Path) -> None:
    code = """
    things.labels("a").inc()
    active.set(2)
    end(in_child(lambda: things.labels("a").inc()))
    print(value("things_total", kind="a"), value("things_active"), len(lines("# EOF")), len(lines("python_info")))
    """
    assert run(None, code) == "1.0 2.0 1 1"


def test_a_folder_that_cannot_be_written_makes_counts_the_processes_own(tmp_path: Path) -> None:
    folder = tmp_path / "a file"
    folder.touch()

    assert run(folder, "things.labels('a').inc(); print(value('things_total', kind='a'))") == "1.0"
