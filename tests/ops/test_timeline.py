"""The time axis: true to scale, but for long stretches in which nothing ran."""

import pytest

from ops.timeline import Timeline


def test_without_pauses_the_axis_is_true_to_scale() -> None:
    axis = Timeline([(0, 40), (30, 60), (80, 100)])

    assert axis.total_ms == 100
    assert axis.pauses == []
    assert [axis.place(at) for at in (0, 25, 60, 100)] == pytest.approx([0, 25, 60, 100])


def test_a_pause_longer_than_the_work_is_squeezed() -> None:
    axis = Timeline([(0, 50), (60_000, 60_050)])

    (pause,) = axis.pauses
    assert pause.duration_ms == 59_950
    assert pause.width < 10
    assert axis.total_ms == 60_050
    assert axis.place(50) == pytest.approx(pause.left)
    assert axis.place(60_000) == pytest.approx(pause.left + pause.width)
    assert axis.place(50) > 40


def test_places_never_go_back_and_stay_on_the_axis() -> None:
    axis = Timeline([(0, 5), (4_000, 4_020), (4_010, 4_015), (90_000, 90_001)])
    places = [axis.place(at) for at in range(-10, 90_100, 7)]

    assert places == sorted(places)
    assert (places[0], places[-1]) == (0, 100)


@pytest.mark.parametrize("intervals", [[], [(0, 0)], [(3, 3), (3, 3)]])
def test_what_took_no_time_has_a_place_too(intervals: list[tuple[float, float]]) -> None:
    axis = Timeline(intervals)

    assert 0 <= axis.place(0) <= 100
    assert 0 <= axis.place(5) <= 100
