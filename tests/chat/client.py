"""A client as docs/chat.md tells how to write one: it holds what it has applied, and asks for what it lacks."""

from typing import Any

Frame = dict[str, Any]


class RoomState:
    """What one client shows of a room, and what it has to ask for to go on."""

    def __init__(self, snapshot: Frame) -> None:
        self.begin(snapshot)

    def begin(self, snapshot: Frame) -> None:
        """Begin anew from a look at the room."""
        self.have: int = snapshot["last_sequence"]
        self.room: Frame = snapshot["room"]
        self.messages: dict[int, Frame] = {one["id"]: one for one in snapshot["messages"]}
        self.members: dict[int, str] = {one["user"]["id"]: one["role"] for one in snapshot["members"]}
        self.applied = 0
        self._aside: dict[int, Frame] = {}

    def receive(self, frame: Frame) -> int | None:
        """Take in a frame; returns the number after which it has to fetch, or None. `resync` begins anew elsewhere."""
        if frame["type"] == "events":
            for event in frame["events"]:
                if event["sequence"] > self.have:
                    self._apply(event)
            self.have = max(self.have, frame["upto"])
        elif frame["type"] == "sequence":
            return self.have if frame["last_sequence"] > self.have else None
        elif "sequence" in frame:
            if frame["sequence"] > self.have:
                self._aside[frame["sequence"]] = frame
        else:
            return None
        while (event := self._aside.pop(self.have + 1, None)) is not None:
            self._apply(event)
            self.have += 1
        self._aside = {number: event for number, event in self._aside.items() if number > self.have}
        is_behind = frame["type"] == "events" and frame["upto"] < frame["last_sequence"]
        return self.have if self._aside or is_behind else None

    def shown(self) -> Frame:
        """Return what a page of it would show."""
        messages = sorted(self.messages.values(), key=lambda one: one["sequence"])
        return {"room": self.room, "messages": messages, "members": dict(sorted(self.members.items()))}

    def _apply(self, event: Frame) -> None:
        self.applied += 1
        if message := event.get("message"):
            known = self.messages.get(message["id"])
            if known is None or known["version"] <= message["version"]:
                self.messages[message["id"]] = message
        if state := event.get("room_state"):
            self.room = state
        if member := event.get("member"):
            if member["role"] is None:
                self.members.pop(member["user"]["id"], None)
            else:
                self.members[member["user"]["id"]] = member["role"]
