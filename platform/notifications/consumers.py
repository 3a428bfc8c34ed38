"""The personal socket: /ws/notifications/."""

from typing import Any

from channels.db import database_sync_to_async

import audit
from accounts import places
from accounts.models import User
from accounts.sockets import NOT_LOGGED_IN, POLICY_VIOLATION, FrameError, Handler, JsonSocket, in_database
from notifications import actions, conf, queries
from notifications.push import group_of
from notifications.visitors import visitors

_LARGEST_ID = 2**63 - 1


class NotificationConsumer(JsonSocket):
    """Tells a person's open page of notifications, and takes marks as read from it.

    To the client: `state` (unread, read ids), `notification` (with the unread count), `error`; and what other parts of
    the platform have to tell, by types of theirs. From the client: `mark_read` (id), `mark_all_read`.
    """

    user: User
    session_key: str | None = None
    _group: str | None = None
    _place: places.Place | None = None

    def handlers(self) -> dict[str, Handler]:
        return {"mark_read": self._mark_read, "mark_all_read": self._mark_all_read}

    async def connect(self) -> None:
        """Join the person's group, and tell how much is unread."""
        if not await self.accept_user():
            return
        self.user = self.scope["user"]
        session = self.scope.get("session")
        self.session_key = session.session_key if session is not None else None
        self._place = places.place_of("notifications", self.user.pk, conf.sockets_of_user(), conf.sockets_of_address())
        if not await in_database(places.OWN.take, self._place, executor=places.THREAD):
            await self._refuse(self._place)
            return
        self._group = group_of(self.user.pk)
        # First the group, then the count: what comes in between is pushed.
        await self.channel_layer.group_add(self._group, self.channel_name)
        visitors().join(self)
        await self._send_state()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve one socket; however it ends, its place is free."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            if self._place is not None:
                visitors().leave(self)
                places.THREAD.submit(places.OWN.leave, self._place)  # after it was taken, which may be under way

    async def disconnect(self, code: int) -> None:
        """Leave the group."""
        if self._group:
            await self.channel_layer.group_discard(self._group, self.channel_name)

    async def notification_created(self, event: dict[str, Any]) -> None:
        """From the channel layer: something new."""
        unread = await self._unread()
        await self.send_json({"type": "notification", "notification": event["notification"], "unread": unread})

    async def notification_read(self, event: dict[str, Any]) -> None:
        """From the channel layer: something was read, here or on another page."""
        await self._send_state(read=event["ids"])

    async def page_told(self, event: dict[str, Any]) -> None:
        """From the channel layer: something that another part of the platform has to tell."""
        await self.send_json(event["frame"])

    async def show_out(self) -> None:
        """Close the socket of somebody who isn't logged in any more."""
        await self.close(NOT_LOGGED_IN, "You are logged out.")

    async def _refuse(self, place: places.Place) -> None:
        if await in_database(places.OWN.is_first_refusal, place, executor=places.THREAD):
            changes = {"limit": "sockets"}
            await database_sync_to_async(audit.record)("notifications.socket.opened", outcome="denied", changes=changes)
        await self.close(POLICY_VIOLATION, "Too many pages are open; close some.")

    async def _send_state(self, **fields: Any) -> None:
        await self.send_json({"type": "state", "unread": await self._unread(), **fields})

    async def _unread(self) -> int:
        unread: int = await database_sync_to_async(queries.unread_count)(self.scope["user"])
        return unread

    async def _mark_read(self, frame: dict[str, Any]) -> None:
        notification_id = frame.get("id")
        if type(notification_id) is not int or not 0 < notification_id <= _LARGEST_ID:
            raise FrameError("Bad id", "`id` is the number of a notification.")
        if not await database_sync_to_async(self._mark)(notification_id):
            raise FrameError("Not found", "You have no such notification.")

    async def _mark_all_read(self, frame: dict[str, Any]) -> None:
        user = self.scope["user"]
        await database_sync_to_async(actions.mark_all_read)(user, actor=user)

    def _mark(self, notification_id: int) -> bool:
        user = self.scope["user"]
        notification = queries.notification_of(user, notification_id)
        if notification is None:
            return False
        actions.mark_read(notification, actor=user)
        return True
