"""A room's socket: /ws/chat/<room>/."""

import uuid
from typing import Any

from channels.db import database_sync_to_async

from accounts.sockets import NOT_FOUND, FrameError, Handler, JsonSocket
from chat import actions, queries
from chat.errors import InvalidMessageError
from chat.models import Message, Room


class ChatConsumer(JsonSocket):
    """Carries a room's messages. A push may be lost; the client sees the gap in the numbers, and fetches.

    To the client: `hello` (room, last_sequence), `message.created`, `sent` (client_id, message), `messages`, `error`.
    From the client: `send` (body, client_id), `fetch` (after).
    """

    room: Room | None = None

    def handlers(self) -> dict[str, Handler]:
        return {"send": self._send, "fetch": self._fetch}

    async def connect(self) -> None:
        """Enter the room, and tell its last number."""
        if not await self.accept_user():
            return
        slug = self.scope["url_route"]["kwargs"]["room"]
        room = await database_sync_to_async(queries.room_visible_to)(self.scope["user"], slug)
        if room is None:
            await self.close(NOT_FOUND, "There is no such room.")
            return
        # First the group, then the number: what comes in between is pushed.
        await self.channel_layer.group_add(actions.group_of(room), self.channel_name)
        self.room = room
        await database_sync_to_async(room.refresh_from_db)(fields=["last_sequence"])
        await self.send_json({"type": "hello", "room": room.slug, "last_sequence": room.last_sequence})

    async def disconnect(self, code: int) -> None:
        """Leave the room."""
        if self.room:
            await self.channel_layer.group_discard(actions.group_of(self.room), self.channel_name)

    async def message_created(self, event: dict[str, Any]) -> None:
        """From the channel layer: a message, or what it takes to see that one is missing."""
        await self.send_json({key: event[key] for key in ("type", "room", "sequence", "message")})

    async def _send(self, frame: dict[str, Any]) -> None:
        body, client_id = frame.get("body"), frame.get("client_id")
        if not isinstance(body, str):
            raise FrameError("Bad message", "`body` is the text of the message.")
        message = await database_sync_to_async(self._store)(body, _client_id(client_id))
        await self.send_json({"type": "sent", "client_id": client_id, "message": message})

    async def _fetch(self, frame: dict[str, Any]) -> None:
        after = frame.get("after")
        if type(after) is not int or not 0 <= after <= queries.LARGEST_SEQUENCE:
            raise FrameError("Bad number", "`after` is the number of the last message that you have, or 0.")
        await self.send_json(await database_sync_to_async(self._messages_after)(after))

    def _store(self, body: str, client_id: uuid.UUID | None) -> dict[str, Any]:
        try:
            return actions.send_message(
                self._visible_room(), actor=self.scope["user"], body=body, client_id=client_id
            ).as_message()
        except InvalidMessageError as error:
            raise FrameError("Bad message", str(error)) from None

    def _messages_after(self, after: int) -> dict[str, Any]:
        room = self._visible_room()
        messages: list[Message] = queries.messages_after(room, after, queries.LARGEST_PAGE)
        return {
            "type": "messages",
            "after": after,
            "messages": [message.as_message() for message in messages],
            "last_sequence": max(room.last_sequence, messages[-1].sequence if messages else 0),
        }

    def _visible_room(self) -> Room:
        """The room as it is now: it may have gone since the handshake."""
        room = self.room and queries.room_visible_to(self.scope["user"], self.room.slug)
        if not room:
            raise FrameError("Not found", "There is no such room.")
        return room


def _client_id(value: Any) -> uuid.UUID | None:
    if value is None:
        return None
    try:
        return uuid.UUID(value)
    except (ValueError, TypeError, AttributeError):
        raise FrameError("Bad client id", "`client_id` is a UUID.") from None
