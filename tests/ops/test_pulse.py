"""The page on how the platform does: an hour of samples, what is made of them, and who sees it."""

import json
import time
from collections.abc import Callable

import pytest
import redis
from django.test import Client
from prometheus_client import Metric

from accounts.models import User
from ops.pulse import sampling
from ops.pulse.drawing import picture, top_of, written
from ops.pulse.sampling import MOST_SAMPLES, Sample, keep, kept, sample_now, start_sampling
from ops.pulse.series import Signal, quantile, signals
from ops.pulse.verdicts import verdicts
from tests.dashboards.exported import application_families

BUCKETS = {"0.1": 0.0, "0.5": 0.0, "+Inf": 0.0}


def samples(count: int, step: float = 15.0, **each: float) -> list[Sample]:
    """Return samples up to now, between which each total grows by so much."""
    begin = time.time() - (count - 1) * step
    return [
        Sample(begin + index * step, workers=1, **{name: grown * index for name, grown in each.items()})
        for index in range(count)
    ]


def signal(key: str, among: list[Sample]) -> Signal:
    return next(one for one in signals(among) if one.key == key)


# --- samples -------------------------------------------------------------------------------------------------------


def test_a_sample_adds_up_what_people_asked_for_and_leaves_out_probes(monkeypatch: pytest.MonkeyPatch) -> None:
    family = Metric("http_server_request_duration_seconds", "", "histogram")
    for route, status, count in (("/blog/", "200", 7), ("/blog/", "500", 2), ("/metrics", "200", 90)):
        labels = {"http_route": route, "http_response_status_code": status}
        family.add_sample("http_server_request_duration_seconds_count", labels, count)
        family.add_sample("http_server_request_duration_seconds_bucket", {**labels, "le": "0.5"}, count)
    ages = Metric("celery_queue_oldest_message_age_seconds", "", "gauge")
    for queue, age in (("mail", 3.0), ("default", 8.0), ("images", float("nan"))):
        ages.add_sample(ages.name, {"queue": queue}, age)
    dead = Metric("tasks_dead", "", "counter")
    dead.add_sample("tasks_dead_total", {"task": "a"}, 1)
    dead.add_sample("tasks_dead_total", {"task": "b"}, 2)

    sample = sampling._sample(5.0, [family, ages, dead])

    assert (sample.requests, sample.errors, sample.durations) == (9, 2, {"0.5": 9})
    assert (sample.oldest_seconds, sample.dead) == (8.0, 3)


def test_what_is_read_is_what_the_metrics_are_called(page: Client) -> None:
    """A family that is renamed would be a line at nought for ever."""
    assert {name.removesuffix("_total") for name in application_families()} >= sampling._FAMILIES
    before = sampling.take(0.0)
    page.get("/ops/requests/")
    after = sampling.take(1.0)
    assert after.requests == before.requests + 1
    assert sum(after.durations.values()) > sum(before.durations.values())


def test_an_hour_is_kept_and_no_more(servers: object) -> None:
    for index in range(MOST_SAMPLES + 3):
        keep(Sample(float(index), durations={"0.5": 1.0}))
    found = kept()
    assert len(found) == MOST_SAMPLES
    assert (found[0].at, found[-1]) == (3.0, Sample(MOST_SAMPLES + 2.0, durations={"0.5": 1.0}))


def test_a_sample_that_cannot_be_kept_costs_nothing_but_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(sample: Sample) -> None:
        raise redis.ConnectionError("away")

    monkeypatch.setattr(sampling, "keep", unreachable)
    told = []
    monkeypatch.setattr("telemetry.faults.note_fault", lambda hook, error: told.append(hook))
    sample_now()
    assert told == ["ops.sample"]


def test_beat_begins_to_take_samples_at_once(
    servers: object, wait_until: Callable[..., object], monkeypatch: pytest.MonkeyPatch
) -> None:
    from celery.signals import beat_init

    monkeypatch.setattr(sampling, "EVERY_SECONDS", 3_600.0)
    assert any(receiver() is start_sampling for _, receiver in beat_init.receivers)
    start_sampling()
    assert wait_until(kept)


# --- series --------------------------------------------------------------------------------------------------------


def test_rates_are_of_a_minute_and_shares_of_what_there_was() -> None:
    hour = samples(20, requests=30, errors=3, tasks=15, events=45)
    assert signal("requests", hour).now == pytest.approx(2.0)
    assert signal("errors", hour).now == pytest.approx(0.1)
    assert signal("tasks", hour).now == pytest.approx(1.0)
    assert signal("events", hour).now == pytest.approx(3.0)
    burst = [*hour[:-1], Sample(hour[-1].at, requests=hour[-2].requests + 600, workers=1)]
    assert signal("requests", burst).now == pytest.approx((600 + 3 * 30) / 60)


def test_where_nothing_was_asked_for_there_is_no_share_and_no_percentile() -> None:
    quiet = samples(10)
    assert signal("requests", quiet).now == 0
    assert signal("errors", quiet).now is None
    assert signal("p95", quiet).now is None


def test_counts_that_begin_anew_and_gaps_are_no_negative_rates() -> None:
    first, second = samples(6, requests=30), samples(4, requests=30)
    restarted = [Sample(one.at - 60, requests=one.requests) for one in first] + second
    values = [value for _, value in signal("requests", restarted).points]
    assert None in values
    assert all(value is None or value >= 0 for value in values)
    gap = [Sample(0.0, requests=0), Sample(15.0, requests=30), Sample(900.0, requests=90), Sample(915.0, requests=120)]
    assert [value for _, value in signal("requests", gap).points] == [2.0, None, 2.0]


def test_a_percentile_lies_within_its_bucket_as_prometheus_has_it() -> None:
    assert quantile(0.5, [(0.1, 0.0), (0.5, 10.0), (float("inf"), 10.0)]) == pytest.approx(0.3)
    assert quantile(0.95, [(0.1, 1.0), (0.5, 2.0), (float("inf"), 40.0)]) == 0.5
    assert quantile(0.95, [(0.1, 0.0), (float("inf"), 0.0)]) is None
    assert quantile(0.95, []) is None
    grown = [
        Sample(0.0, durations=BUCKETS),
        Sample(15.0, durations={"0.1": 0.0, "0.5": 100.0, "+Inf": 100.0}, requests=100),
    ]
    assert signal("p95", grown).now == pytest.approx(0.48)


# --- pictures and answers --------------------------------------------------------------------------------------------


def test_a_picture_says_in_words_what_it_shows_and_stays_in_its_frame() -> None:
    drawn = picture(signal("requests", samples(100, requests=120)), time.time())
    assert drawn.told == "Requests over the last hour: now 8/s, at most 8/s."
    assert (drawn.now, drawn.top) == ("8/s", "10/s")
    coordinates = [float(text) for text in drawn.line.replace("M", "").replace("L", "").split()]
    assert all(0 <= x <= 600 for x in coordinates[::2])
    assert all(0 <= y <= 120 for y in coordinates[1::2])


def test_a_line_has_gaps_where_there_is_nothing_and_a_lonely_point_is_seen() -> None:
    now = time.time()
    points = [(now - 90, 1.0), (now - 75, 1.0), (now - 60, None), (now - 45, 2.0)]
    drawn = picture(Signal("k", "T", "rate", "", points, 1), now)
    assert drawn.line.count("M") == 2
    lonely = drawn.line.split("M")[2].replace("L", "").split()
    assert float(lonely[2]) - float(lonely[0]) == 2.0
    assert picture(Signal("k", "T", "rate", "", [(now, None)], 1), now).told == "T over the last hour: there were none."


@pytest.mark.parametrize(
    ("most", "top"), [(0.03, 0.05), (0.1, 0.1), (1.0, 1.0), (1.01, 2.0), (7.0, 10.0), (120.0, 200.0)]
)
def test_a_scale_ends_at_a_round_number(most: float, top: float) -> None:
    assert top_of(most, is_share=False) == pytest.approx(top)


def test_figures_are_written_as_people_read_them() -> None:
    assert [written(value, "rate") for value in (0.0, 0.25, 3.44, 1_234.0)] == ["0/s", "0.25/s", "3.4/s", "1,234/s"]
    assert [written(value, "seconds") for value in (0.0123, 0.25, 1.5)] == ["12.3 ms", "250 ms", "1.5 s"]
    assert (written(0.012, "share"), written(None, "share"), written(7.0, "count")) == ("1.2 %", "none", "7")


@pytest.mark.parametrize(
    ("change", "tones"),
    [
        ({}, ["ok", "ok", "ok"]),
        ({"errors": 1}, ["bad", "ok", "ok"]),
        ({"undone": 1}, ["ok", "ok", "bad"]),
    ],
)
def test_three_answers_come_first(change: dict[str, float], tones: list[str]) -> None:
    hour = samples(20, requests=20, **change)
    assert [verdict.tone for verdict in verdicts(hour, signals(hour))] == tones


@pytest.mark.parametrize(
    ("last", "tone"),
    [({"workers": 0.0}, "bad"), ({"oldest_seconds": 31.0}, "warn"), ({"oldest_seconds": 301.0}, "bad")],
)
def test_tasks_that_wait_and_workers_that_are_gone_are_told(last: dict[str, float], tone: str) -> None:
    hour = [*samples(5), Sample(time.time(), **{"workers": 1.0, **last})]
    assert verdicts(hour, signals(hour))[1].tone == tone


# --- the page ------------------------------------------------------------------------------------------------------


def test_the_page_draws_nine_pictures_without_inline_style_or_script(page: Client) -> None:
    for sample in samples(30, requests=30, events=15):
        keep(sample)
    answer = page.get("/ops/")
    text = answer.content.decode()
    assert answer.status_code == 200
    assert text.count("<svg viewBox") - text.count('<svg viewBox="0 0 24 24"') >= 9
    assert 'aria-label="Requests over the last hour: now 2/s, at most 2/s."' in text
    assert "Is the ledger whole?" in text
    assert " style=" not in text
    assert "<script>" not in text
    assert "Beat takes them" not in text
    told = json.loads(page.get("/ops/?format=json").content)["signals"]
    assert told["requests"]["unit"] == "rate"
    assert len(told["requests"]["points"]) == 29


def test_before_the_first_samples_and_without_redis_the_page_says_so(
    page: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "within half a minute" in page.get("/ops/").content.decode()

    def unreachable() -> list[Sample]:
        raise redis.ConnectionError("away")

    monkeypatch.setattr(sampling, "kept", unreachable)
    answer = page.get("/ops/")
    assert answer.status_code == 200
    assert "doesn&#x27;t answer" in answer.content.decode()


def test_samples_that_stopped_are_told(page: Client) -> None:
    for sample in samples(5):
        keep(Sample(sample.at - 600))
    assert "Beat takes them every 15 s" in page.get("/ops/").content.decode()


@pytest.mark.django_db
def test_only_who_may_follow_requests_sees_it(client: Client, page: Client) -> None:
    assert 'href="/ops/"' in page.get("/blog/").content.decode()
    assert page.post("/ops/").status_code == 405
    stranger = Client()
    assert stranger.get("/ops/")["Location"].startswith("/accounts/login/")
    stranger.force_login(User.objects.create_user("nobody", password="right-horse-9"))
    assert stranger.get("/ops/").status_code == 403
    assert 'href="/ops/"' not in stranger.get("/blog/").content.decode()
