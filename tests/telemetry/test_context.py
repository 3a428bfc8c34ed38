"""The context travels as it was, and refuses what it can't trust."""

import asyncio
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telemetry.context import (
    EMPTY,
    Actor,
    Context,
    bind,
    current,
    from_carrier,
    is_request_id,
    new_request_id,
    to_carrier,
    use,
)


def test_new_request_ids_are_uuid_version_7_and_sort_by_time() -> None:
    ids = [new_request_id() for _ in range(100)]

    assert all(re.fullmatch(r"[0-9a-f]{12}7[0-9a-f]{3}[89ab][0-9a-f]{15}", each) for each in ids)
    assert len(set(ids)) == 100
    assert [each[:12] for each in ids] == sorted(each[:12] for each in ids)


@pytest.mark.parametrize(
    "text", ["", "short", "x" * 65, "with space8", "line\nbreak1", "\x1b[31mred12345", "ünïcödé-8"]
)
def test_a_foreign_text_is_no_request_id(text: str) -> None:
    assert not is_request_id(text)


@given(st.text(max_size=80))
def test_whatever_is_a_request_id_is_safe_in_a_header_and_a_log(text: str) -> None:
    if is_request_id(text):
        assert text.isascii()
        assert text.replace("-", "").replace("_", "").isalnum()
        assert 8 <= len(text) <= 64


def test_a_carrier_leads_back_to_the_same_request_and_actor() -> None:
    request = Context(
        request_id=new_request_id(),
        origin="http",
        operation="POST /blog",
        actor_source=lambda: Actor("user", "7", "alice"),
        client_address="203.0.113.9",
        task_id="parent",
        reason="because",
    )
    task = from_carrier(to_carrier(request), origin="task", operation="blog.notify", task_id="child")

    assert (task.request_id, task.actor, task.origin) == (request.request_id, Actor("user", "7", "alice"), "task")
    assert (task.task_id, task.parent_task_id, task.reason) == ("child", "parent", "because")
    assert task.extra == {"cause": "POST /blog"}


@given(st.dictionaries(st.text(max_size=12), st.one_of(st.text(max_size=600), st.integers(), st.none())))
def test_a_broken_carrier_gives_a_usable_context(carrier: dict[str, object]) -> None:
    context = from_carrier(carrier, origin="task", operation="any")

    assert is_request_id(context.request_id)
    assert len(context.reason) <= 500


def test_blocks_nest_and_end() -> None:
    assert current() is EMPTY
    with use(Context(request_id="outer-request")):
        with bind(reason="inner"):
            assert (current().request_id, current().reason) == ("outer-request", "inner")
        assert current().reason == ""
    assert current() is EMPTY


async def test_coroutines_side_by_side_keep_their_own_context() -> None:
    everyone = asyncio.Barrier(50)

    async def work(number: int) -> str:
        with use(Context(request_id=f"request-{number}")):
            await everyone.wait()
            return current().request_id

    assert await asyncio.gather(*(work(number) for number in range(50))) == [f"request-{n}" for n in range(50)]
