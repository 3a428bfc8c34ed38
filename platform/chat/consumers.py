"""A room's socket: /ws/chat/<room>/?after=<number>. docs/chat.md says frame by frame what goes over it."""

import asyncio
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar
from urllib.parse import parse_qs

import orjson

import audit
from accounts import places
from accounts.sockets import (
    NOT_FOUND,
    POLICY_VIOLATION,
    TRY_LATER,
    FrameError,
    Handler,
    JsonSocket,
    in_database,
)
from chat import actions, conf, metrics, queries, replay, showing
from chat.errors import ChatError, GoneError, InvalidError, NotAllowedError, TooManyError
from chat.replay import Replay
from chat.rules import Access
from chat.watching import watch
from notifications.push import push_to_group
from telemetry.logs import get_logger

T = TypeVar("T")
log = get_logger(__name__)

TYPING_SECONDS = 6  # so long it's believed that somebody types
_TYPING_EVERY_SECONDS = 2.0
_DATABASE = ThreadPoolExecutor(4, thread_name_prefix="chat")
_TITLES: tuple[tuple[type[ChatError], str], ...] = (
    (GoneError, "Not found"),
    (NotAllowedError, "Not allowed"),
    (InvalidError, "Bad message"),
    (TooManyError, "Too many messages"),
)


class ChatConsumer(JsonSocket):
    """Carries a room's events. A push may be lost; the client sees the gap in the numbers, and fetches.

    To the client: `hello`, `events`, `resync`, one event each (`message.created` and so on), `sequence`, `sent`,
    `typing`, `presence`, `you`, `read`, `error`. From the client: `send`, `fetch`, `typing`, `read`.
    """

    access: Access
    session_key: str | None = None
    told_sequence = 0
    told_here = ""
    sending_since: float | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._groups: list[str] = []
        self._place: places.Place | None = None
        self._task: asyncio.Task[Any] | None = None
        self._is_slow = False
        self._is_closed = False
        self._typed_at = -_TYPING_EVERY_SECONDS

    def handlers(self) -> dict[str, Handler]:
        return {"send": self._send, "fetch": self._fetch, "typing": self._typing, "read": self._read}

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve one socket; however it ends, nothing of it stays."""
        self._task = asyncio.current_task()
        try:
            await super().__call__(scope, receive, send)
        except asyncio.CancelledError:
            if not self._is_slow:
                raise
        finally:
            watch().leave(self)
            if self._place is not None:
                places.THREAD.submit(places.OWN.leave, self._place)  # after it was taken, which may be under way
            for group in self._groups:
                try:
                    await self.channel_layer.group_discard(group, self.channel_name)
                except Exception as error:  # Redis is away, and forgets by itself
                    log.info("chat.group_not_left", error=type(error).__name__)

    # --- the beginning -----------------------------------------------------------------------------------------------

    async def connect(self) -> None:
        """Enter the room, tell its last number, and what happened after the client's."""
        if not await self.accept_user():
            return
        slug = self.scope["url_route"]["kwargs"]["room"]
        access = await in_database(queries.room_visible_to, self.scope["user"], slug, executor=_DATABASE)
        if access is None:
            await self._close(NOT_FOUND, queries.NOT_FOUND)
            return
        self.access = access
        session = self.scope.get("session")
        self.session_key = session.session_key if session is not None else None
        self._place = places.place_of("chat", access.user.pk, conf.sockets_of_user(), conf.sockets_of_address())
        if not await in_database(places.OWN.take, self._place, executor=places.THREAD):
            await self._refuse(self._place)
            return
        if not await self._join_groups():
            return
        after = _after(self.scope)
        # First the groups, then the numbers: what comes in between is pushed.
        page = 0 if after is None else replay.LARGEST_PAGE
        missed = await self._in_database(replay.events_after, access.room, after or 0, page)
        self.told_sequence = missed.last_sequence
        await self.send_json(
            {
                "type": "hello",
                "room": access.room.slug,
                "last_sequence": missed.last_sequence,
                "room_state": showing.room(access.room),
                "you": showing.you(access),
            }
        )
        watch().join(self)
        while after is not None and not await self._send_replay(missed):
            missed = await self._in_database(replay.events_after, access.room, missed.upto)

    async def _refuse(self, place: places.Place) -> None:
        metrics.LIMITED.labels("sockets").inc()
        changes = {"limit": "sockets"}
        if await in_database(places.OWN.is_first_refusal, place, executor=places.THREAD):
            await self._in_database(lambda: audit.record("chat.room.entered", outcome="denied", changes=changes))
        await self._close(POLICY_VIOLATION, "Too many rooms are open; close some tabs.")

    async def _join_groups(self) -> bool:
        groups = [actions.group_of(self.access.room), actions.group_of_reader(self.access.user.pk)]
        try:
            for group in groups:
                self._groups.append(group)
                await self.channel_layer.group_add(group, self.channel_name)
        except Exception as error:  # whatever the layer's Redis says when it's away
            log.warning("chat.layer_away", error=f"{type(error).__name__}: {error}")
            await self._close(TRY_LATER, "Messages can't be passed on just now. Try again.")
            return False
        return True

    # --- from the layer ----------------------------------------------------------------------------------------------

    async def message_created(self, event: dict[str, Any]) -> None:
        """From the channel layer: something happened in the room, or what it takes to see that something is missing."""
        self.told_sequence = max(self.told_sequence, event["sequence"])
        await self.tell(event["text"])

    message_edited = message_deleted = message_reacted = message_pinned = room_changed = member_changed = (
        message_created
    )

    async def someone_typing(self, event: dict[str, Any]) -> None:
        """From the channel layer: somebody types."""
        if event["frame"]["user"]["id"] != self.access.user.pk:
            await self.send_json(event["frame"])

    async def read_marked(self, event: dict[str, Any]) -> None:
        """From the channel layer: the person has read something, here or on another page."""
        await self.send_json(event["frame"])

    # --- from the client ---------------------------------------------------------------------------------------------

    async def _send(self, frame: dict[str, Any]) -> None:
        body, client_id = frame.get("body"), frame.get("client_id")
        if not isinstance(body, str):
            raise FrameError("Bad message", "`body` is the text of the message.")
        reply_to, pictures = frame.get("reply_to"), frame.get("pictures", [])
        if reply_to is not None and not _is_id(reply_to):
            raise FrameError("Bad message", "`reply_to` is the id of a message.")
        if not isinstance(pictures, list) or not all(_is_id(one) for one in pictures):
            raise FrameError("Bad message", "`pictures` are ids of pictures.")
        message = await self._obeyed(self._store, body, _client_id(client_id), reply_to, pictures)
        await self.send_json({"type": "sent", "client_id": client_id, "message": message})

    async def _fetch(self, frame: dict[str, Any]) -> None:
        after = frame.get("after")
        if type(after) is not int or not 0 <= after <= queries.LARGEST_SEQUENCE:
            raise FrameError("Bad number", "`after` is the last number that you have, or 0.")
        await self._send_replay(await self._obeyed(self._replay, after))

    async def _typing(self, frame: dict[str, Any]) -> None:
        now = time.monotonic()
        if now - self._typed_at < _TYPING_EVERY_SECONDS or not self.access.can_write:
            return
        self._typed_at = now
        user = self.access.user
        told = {"type": "typing", "user": {"id": user.pk, "name": user.name}, "seconds": TYPING_SECONDS}
        push_to_group(actions.group_of(self.access.room), {"type": "someone.typing", "frame": told})

    async def _read(self, frame: dict[str, Any]) -> None:
        sequence = frame.get("sequence")
        if type(sequence) is not int or not 0 <= sequence <= queries.LARGEST_SEQUENCE:
            raise FrameError("Bad number", "`sequence` is the number of the last message that was read.")
        await self._obeyed(lambda: actions.mark_read(self.access.room, sequence, actor=self.access.user))

    # --- what they have in common ------------------------------------------------------------------------------------

    async def tell(self, text: str) -> None:
        """Send a frame that is JSON already."""
        if self._is_closed:
            return
        # A client that doesn't read makes this wait; the watch sees to it that it doesn't for ever.
        self.sending_since = time.monotonic()
        await self.send(text_data=text)
        self.sending_since = None

    async def send_json(self, content: Any, close: bool = False) -> None:
        """Send a frame."""
        await self.tell(orjson.dumps(content).decode())

    async def show_out(self, code: int, reason: str, why: str) -> None:
        """Close the socket of somebody who may not be here any more."""
        metrics.CLOSED.labels(why).inc()
        log.info("chat.shown_out", room=self.access.room.slug, user_id=self.access.user.pk, reason=why)
        await self._close(code, reason)

    def cut_off(self) -> None:
        """End the serving of a client that doesn't read; it couldn't be told anyway."""
        self._is_slow = self._is_closed = True
        if self._task is not None:
            self._task.cancel()

    async def _close(self, code: int, reason: str) -> None:
        if not self._is_closed:
            self._is_closed = self._is_cut_off = True
            await self.close(code, reason)

    async def _in_database(self, function: Callable[..., T], *args: Any) -> T:
        return await in_database(function, *args, executor=_DATABASE)

    async def _obeyed(self, function: Callable[..., T], *args: Any) -> T:
        """Run an action, and turn what it says into an error frame; who asks for too much is closed."""
        try:
            return await self._in_database(function, *args)
        except TooManyError as error:
            metrics.CLOSED.labels("limited").inc()
            await self.send_error("Too many messages", str(error))
            await self._close(POLICY_VIOLATION, str(error))
            raise FrameError("Too many messages", str(error)) from None
        except ChatError as error:
            title = next((title for kind, title in _TITLES if isinstance(error, kind)), "Conflict")
            raise FrameError(title, str(error)) from None

    def _store(
        self, body: str, client_id: uuid.UUID | None, reply_to: int | None, pictures: list[int]
    ) -> dict[str, Any]:
        sent = actions.send_message(
            self.access.room,
            actor=self.access.user,
            body=body,
            client_id=client_id,
            reply_to=reply_to,
            pictures=pictures,
        )
        return showing.message(sent)

    def _replay(self, after: int) -> Replay:
        access = queries.room_visible_to(self.access.user, self.access.room.slug)
        if access is None:
            raise GoneError(queries.NOT_FOUND)
        return replay.events_after(access.room, after)

    async def _send_replay(self, missed: Replay) -> bool:
        """Send what was missed, or that it can't be had; returns whether that is all."""
        metrics.REPLAYS.labels("resync" if missed.must_resync else "replayed").inc()
        if missed.must_resync:
            await self.send_json({"type": "resync", "after": missed.after, "last_sequence": missed.last_sequence})
            return True
        metrics.REPLAYED.inc(len(missed.events))
        await self.send_json(
            {
                "type": "events",
                "after": missed.after,
                "upto": missed.upto,
                "last_sequence": missed.last_sequence,
                "events": missed.events,
            }
        )
        return missed.upto >= missed.last_sequence


def _after(scope: dict[str, Any]) -> int | None:
    """Return the number in the address; None where there's none that is one."""
    given = parse_qs(scope.get("query_string", b"").decode("latin-1"), max_num_fields=10).get("after", [""])[0]
    return int(given) if given.isascii() and given.isdigit() and len(given) < 19 else None


def _is_id(value: Any) -> bool:
    return type(value) is int and 0 < value <= queries.LARGEST_SEQUENCE


def _client_id(value: Any) -> uuid.UUID | None:
    if value is None:
        return None
    try:
        return uuid.UUID(value)
    except (ValueError, TypeError, AttributeError):
        raise FrameError("Bad client id", "`client_id` is a UUID.") from None
