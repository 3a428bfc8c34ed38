"""Changes as people read them."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.models import Event
from audit.reading.access import EVERYTHING
from audit.reading.diffs import Diff, between, of_event


def marks(diff: Diff) -> list[tuple[str, str]]:
    return [(piece.mark, piece.text) for piece in diff.pieces]


def test_a_word_that_changed_in_a_text_is_marked_alone() -> None:
    text = "The quick brown fox jumps over the lazy dog, and then it sleeps in the sun."

    diff = between("body", text, text.replace("brown", "red"))

    assert diff.kind == "text"
    assert [piece for piece in marks(diff) if piece[0] != "same"] == [("old", "brown"), ("new", "red")]


def test_the_middle_of_what_is_the_same_is_left_out_and_counted() -> None:
    text = "word " * 400

    diff = between("body", text + "old end", text + "new end")

    (skipped,) = [piece.text for piece in diff.pieces if piece.mark == "skip"]
    shown = sum(len(piece.text) for piece in diff.pieces if piece.mark == "same")
    assert int(skipped.replace(",", "")) + shown == len(text + " end")
    assert shown < 200


@given(st.text(min_size=61, max_size=300), st.text(max_size=300))
def test_old_and_new_can_be_read_out_of_the_pieces(before: str, after: str) -> None:
    diff = between("body", before, after)

    if not any(mark == "skip" for mark, _ in marks(diff)):
        assert "".join(text for mark, text in marks(diff) if mark != "new") == before
        assert "".join(text for mark, text in marks(diff) if mark != "old") == after


def test_json_tells_each_place_that_differs() -> None:
    before = {"a": 1, "b": {"c": [1, 2], "d": "x"}, "e": None}
    after = {"a": 1, "b": {"c": [1, 3, 4], "d": "x"}, "f": True}

    diff = between("data", before, after)

    assert [(one.field, one.before, one.after) for one in diff.paths] == [
        ("b.c[1]", "2", "3"),
        ("b.c[2]", None, "4"),
        ("f", None, "true"),
    ]


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (None, "x", (None, "x")),
        ("draft", "published", ("draft", "published")),
        (1, None, ("1", None)),
        ("", "x", ("empty", "x")),
        (True, False, ("true", "false")),
        ({"masked": "0123456789abcdef"}, {"hidden": "masked"}, ("masked · 01234567", "hidden: masked")),
        (None, {"hidden": "personal"}, (None, "hidden: personal")),
        ({"cut": "abc", "length": 5000, "sha256": "0"}, "x", ("abc… (5,000 characters)", "x")),
        ([1, 2], None, ("[1,2]", None)),
    ],
)
def test_other_values_stand_before_and_after(before: Any, after: Any, expected: tuple[Any, Any]) -> None:
    diff = between("field", before, after)

    assert (diff.kind, diff.before, diff.after) == ("value", *expected)


def test_a_many_to_many_field_tells_what_came_and_what_went() -> None:
    event = Event(
        action="blog.post.updated", object_type="blog.post", changes={"tags": {"added": [3], "removed": [1, 2]}}
    )

    (diff,) = of_event(event, EVERYTHING)

    assert (diff.kind, diff.removed, diff.added) == ("members", ("1", "2"), ("3",))
