"""Sockets: their handshakes, and the messages of browsers."""

import asyncio
from typing import Any

import pytest

from telemetry import context
from telemetry.channels import broadcasts
from telemetry.channels.routes import route_of
from telemetry.tracing.work import Work, running
from tests.telemetry.broadcasting import CAUSE, ROUTE, TRACE, TRACEPARENT, Open, named, value
from tests.telemetry.conftest import Finished
from tests.telemetry.sockets import GROUP, Listener, NewsSocket

# --- handshakes ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("layer", ["memory"], indirect=True)
async def test_the_handshakes_span_ends_when_the_socket_is_accepted(
    open_socket: Open, layer: Any, finished_spans: Finished
) -> None:
    await open_socket(7)
    (handshake,) = named(finished_spans(), f"WEBSOCKET {ROUTE}")
    assert handshake["kind"] == "server"
    assert handshake["attributes"]["url.path"] == "/ws/news/all/"
    assert handshake["attributes"]["websocket.handshake.outcome"] == "accepted"
    assert handshake["attributes"]["user.id"] == "7"


@pytest.mark.parametrize("layer", ["memory"], indirect=True)
async def test_a_refused_handshake_has_a_span_and_no_gauge(
    layer: Any, finished_spans: Finished, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(self: Listener) -> None:
        await self.close(4403)

    monkeypatch.setattr(Listener, "connect", refuse)
    before = value("websocket_server_active_connections", http_route=ROUTE)
    closed = value("websocket_server_connection_duration_seconds_count", http_route=ROUTE, websocket_close_code="4403")
    socket = NewsSocket(1)
    await socket._communicator.send_input({"type": "websocket.connect"})
    assert (await socket.receive_event())["type"] == "websocket.close"
    await socket.close_with(1006)
    (handshake,) = named(finished_spans(), f"WEBSOCKET {ROUTE}")
    assert handshake["attributes"]["websocket.handshake.outcome"] == "refused"
    assert handshake["status"] == "ok"  # as an HTTP 403's is: it's the answer that was meant
    assert value("websocket_server_active_connections", http_route=ROUTE) == before
    assert (
        value("websocket_server_connection_duration_seconds_count", http_route=ROUTE, websocket_close_code="4403")
        == closed + 1
    )


@pytest.mark.parametrize("layer", ["memory"], indirect=True)
async def test_a_handshake_that_fails_is_an_error(
    layer: Any, finished_spans: Finished, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(self: Listener) -> None:
        raise RuntimeError("a handler's own fault")

    monkeypatch.setattr(Listener, "connect", fail)
    socket = NewsSocket(1)
    await socket._communicator.send_input({"type": "websocket.connect"})
    assert isinstance(await socket.failure(), RuntimeError)
    (handshake,) = named(finished_spans(), f"WEBSOCKET {ROUTE}")
    assert handshake["status"] == "error"
    assert handshake["attributes"]["websocket.handshake.outcome"] == "failed"
    assert broadcasts.here() is None


@pytest.mark.parametrize("layer", ["memory"], indirect=True)
async def test_a_strangers_trace_is_linked_but_not_joined(
    open_socket: Open, layer: Any, finished_spans: Finished
) -> None:
    headers = [(b"traceparent", TRACEPARENT), (b"x-request-id", b"given-by-stranger")]
    await open_socket(1, headers=headers, peer="203.0.113.9")
    (handshake,) = named(finished_spans(), f"WEBSOCKET {ROUTE}")
    assert handshake["trace_id"] != TRACE
    assert handshake["links"] == [{"trace_id": TRACE, "span_id": "00f067aa0ba902b7"}]
    assert handshake["request_id"] != "given-by-stranger"


@pytest.mark.parametrize("layer", ["memory"], indirect=True)
async def test_a_trusted_trace_is_joined(open_socket: Open, layer: Any, finished_spans: Finished) -> None:
    headers = [(b"traceparent", TRACEPARENT), (b"x-request-id", b"given-by-proxy-1")]
    await open_socket(1, headers=headers)
    (handshake,) = named(finished_spans(), f"WEBSOCKET {ROUTE}")
    assert (handshake["trace_id"], handshake["parent_id"]) == (TRACE, "00f067aa0ba902b7")
    assert handshake["request_id"] == "given-by-proxy-1"


@pytest.mark.parametrize("layer", ["memory"], indirect=True)
@pytest.mark.parametrize(("code", "label"), [(1001, "1001"), (4999, "_OTHER")])
async def test_close_codes_are_bounded(open_socket: Open, layer: Any, code: int, label: str) -> None:
    def count() -> float:
        name = "websocket_server_connection_duration_seconds_count"
        return value(name, http_route=ROUTE, websocket_close_code=label)

    before = count()
    socket = await open_socket(1)
    await socket.close_with(code)
    assert count() == before + 1


@pytest.mark.parametrize(
    ("path", "given", "route"),
    [
        ("/ws/news/all/", {"kwargs": {"topic": "all"}}, "/ws/news/<topic>/"),
        ("/ws/chat/chat/", {"kwargs": {"room": "chat"}}, "/ws/chat/<room>/"),
        ("/ws/v7/room/7/", {"kwargs": {"room": 7}}, "/ws/v7/room/<room>/"),
        ("/ws/x/x/", {"kwargs": {"one": "x", "two": "x"}}, "/ws/<one>/<two>/"),
        ("/ws/room-5/", {"args": ("5",), "kwargs": {}}, "/ws/room-<0>/"),
        ("/ws/files/a/b/", {"kwargs": {"path": "a/b"}}, "/ws/files/<path>/"),
        ("/anything", None, ""),
    ],
)
def test_a_route_holds_names_and_no_values(path: str, given: dict[str, Any] | None, route: str) -> None:
    assert route_of({"path": path} | ({"url_route": given} if given is not None else {})) == route


# --- messages of browsers ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("layer", ["memory"], indirect=True)
async def test_each_message_of_a_browser_is_a_trace_linked_to_the_handshake(
    open_socket: Open, layer: Any, finished_spans: Finished
) -> None:
    before = value("websocket_server_messages_total", direction="received", http_route=ROUTE)
    socket = await open_socket(7)
    heard = []
    for _ in range(2):
        await socket.send_frame(text="hello")
        heard.append(await socket.receive())
    await socket.disconnect()
    (handshake,) = named(finished_spans(), f"WEBSOCKET {ROUTE}")
    first, second = named(finished_spans(), f"receive {ROUTE}")
    assert len({first["trace_id"], second["trace_id"], handshake["trace_id"]}) == 3
    assert [first["request_id"], second["request_id"]] == [one["request_id"] for one in heard]
    assert first["links"] == [{"trace_id": handshake["trace_id"], "span_id": handshake["span_id"]}]
    assert first["attributes"]["user.id"] == "7"
    assert heard[0]["actor"] == "person-7"
    assert value("websocket_server_messages_total", direction="received", http_route=ROUTE) == before + 2


@pytest.mark.parametrize("layer", ["memory"], indirect=True)
async def test_a_browsers_message_that_fails_is_an_error(
    open_socket: Open, layer: Any, finished_spans: Finished
) -> None:
    socket = await open_socket(7)
    await socket.send_frame(text="fail")
    assert isinstance(await socket.failure(), RuntimeError)
    (received,) = named(finished_spans(), f"receive {ROUTE}")
    assert (received["status"], received["status_detail"]) == ("error", "RuntimeError")


@pytest.mark.parametrize("layer", ["memory"], indirect=True)
async def test_what_sockets_send_and_how_long_handlers_run_is_counted(open_socket: Open, layer: Any) -> None:
    names = {
        "websocket_server_messages_total": {"direction": "sent", "http_route": ROUTE},
        "websocket_server_handler_duration_seconds_count": {"http_route": ROUTE},
    }
    before = {name: value(name, **labels) for name, labels in names.items()}
    socket = await open_socket(7)  # one of each: `connect`, and what it tells
    await layer.group_send(GROUP, {"type": "news.told"})
    await socket.receive()
    await socket.disconnect()
    after = {name: value(name, **labels) - before[name] for name, labels in names.items()}
    assert after == {
        "websocket_server_messages_total": 2,
        "websocket_server_handler_duration_seconds_count": 3,  # with `disconnect`
    }


@pytest.mark.parametrize("layer", ["memory"], indirect=True)
async def test_the_handlers_of_two_sockets_do_not_share_a_context(
    open_socket: Open, layer: Any, gate: asyncio.Event
) -> None:
    slow, quick = await open_socket(1), await open_socket(2)
    with context.use(CAUSE):
        await layer.send(slow.channel, {"type": "news.slow", "waits_for": 1})
    await asyncio.wait_for(Listener.waiting.acquire(), 60)  # type: ignore[union-attr]
    await quick.send_frame(text="hello")
    assert (await quick.receive())["actor"] == "person-2"
    gate.set()
    assert (await slow.receive())["actor"] == "somebody"


@pytest.mark.parametrize("layer", ["memory"], indirect=True)
async def test_what_a_sockets_own_task_does_piles_up_nowhere(
    open_socket: Open, layer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    connecting: list[Work | None] = []
    connect = Listener.connect

    async def remember(self: Listener) -> None:
        connecting.append(running())
        await connect(self)

    monkeypatch.setattr(Listener, "connect", remember)
    await open_socket(1)
    (work,) = connecting
    assert work is not None
    assert work.is_finished
    before = len(work.leaves)
    work.add_leaf("SELECT", 0, 1, {})
    assert len(work.leaves) == before
