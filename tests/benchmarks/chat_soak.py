"""Clients talk for minutes while Redis and the sockets' process are restarted twice: all end with the same messages.

Servers of its own are started and stopped. Everybody is in one room, over real sockets; another process says, edits,
deletes and answers with signs as well. At the end each client's messages are compared with a fresh look at the room,
and each event has to have been applied once. Exit code 1 where something differs.
"""

import argparse
import asyncio
import hashlib
import json
import os
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

PROJECT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(PROJECT / "platform"), str(PROJECT)]

EXAMPLES = """
examples:
  python tests/benchmarks/chat_soak.py
  python tests/benchmarks/chat_soak.py --clients 20 --minutes 0.2 --format json
"""
ROOM = "soak"
_CATCH_UP_SECONDS = 60.0


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--clients", type=int, default=300, help="From 1 to 500 (300).")
    parser.add_argument("--minutes", type=float, default=5.0, help="At most 30 (5).")
    parser.add_argument("--per-second", type=float, default=5.0, help="Messages a second of all clients together (5).")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--format", choices=["text", "json"], default="text")
    options = parser.parse_args()
    if not (1 <= options.clients <= 500 and 0 < options.minutes <= 30):
        parser.error("1 to 500 clients, and at most 30 minutes.")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with tempfile.TemporaryDirectory(prefix="glasshouse-soak-") as folder:
        from tests.chat.place import PLENTY, Place

        os.environ |= {"LOCAL_DIR": folder, "DJANGO_SETTINGS_MODULE": "config.settings.development", **PLENTY}
        os.environ |= {"LOG_LEVEL": "WARNING", "TELEMETRY_SAMPLE_RATIO": "0.01"}
        for name in ("DATABASE_URL", "DATABASE_OWNER_URL", "REDIS_URL"):
            os.environ.pop(name, None)
        place = Place(Path(folder))
        try:
            place.start()
            figures = asyncio.run(Soak(place, options).run())
        finally:
            place.stop_all()
    if options.format == "json":
        print(json.dumps(figures))
    else:
        print("\n".join(f"{name.replace('_', ' '):<34} {value}" for name, value in figures.items()))
    sys.exit(0 if figures["clients_that_differ"] == 0 and figures["unanswered"] == 0 else 1)


class Soak:
    """One run."""

    def __init__(self, place: Any, options: argparse.Namespace) -> None:
        import django

        django.setup()
        self.place, self.options, self.random = place, options, Random(options.seed)
        self.talkers: list[Any] = []
        self.restarts: Counter[str] = Counter()
        self.by_hand: Counter[str] = Counter()
        self.said = 0
        self._slimmed: dict[str | bytes, Any] = {}

    async def run(self) -> dict[str, Any]:
        """Let everybody talk, and compare."""
        from tests.chat.talker import Talker

        room, cookies = await asyncio.to_thread(prepare, self.options.clients)
        url = f"ws://127.0.0.1:{self.place.port}/ws/chat/{ROOM}/"
        start = await self._look()
        for number, cookie in enumerate(cookies):
            talker = Talker(url, cookie, start, self._look, seed=self.options.seed * 10_000 + number)
            talker.parse_with(self._parse)
            self.talkers.append(talker)
        living = [asyncio.create_task(talker.live()) for talker in self.talkers]
        begun = time.monotonic()
        end = begun + self.options.minutes * 60
        try:
            await asyncio.gather(self._talk(end), self._act(end, room), self._restart(begun, end))
            caught_up = await self._catch_up(room)
        finally:
            for talker in self.talkers:
                await talker.leave()
            await asyncio.wait(living, timeout=20)
        return await self._compare(room, caught_up)

    async def _talk(self, end: float) -> None:
        from tests.chat.talker import pause

        while (now := time.monotonic()) < end:
            await self.random.choice(self.talkers).say(f"Message **{self.said}**")
            self.said += 1
            await pause(min(self.random.expovariate(self.options.per_second), max(0.0, end - now)))

    async def _act(self, end: float, room: Any) -> None:
        from tests.chat.talker import pause

        while time.monotonic() < end:
            done = await asyncio.to_thread(act, room, self.random)
            self.by_hand[done] += 1
            await pause(0.5)

    async def _restart(self, begun: float, end: float) -> None:
        """Redis and the sockets' process, each once gently and once by force."""
        from tests.chat.talker import pause

        faults = [("redis", False), ("sockets", False), ("redis", True), ("sockets", True)]
        for number, (name, is_killed) in enumerate(faults, 1):
            await pause(max(0.0, begun + (end - begun) * number / (len(faults) + 1) - time.monotonic()))
            await asyncio.to_thread(self.place.stop, name, is_killed=is_killed)
            start = self.place.start_redis if name == "redis" else self.place.start_sockets
            # On this thread: what a thread starts ends with it.
            start()
            self.restarts[name] += 1

    async def _catch_up(self, room: Any) -> float:
        """Wait until nobody lacks anything; return how many seconds that took."""
        from tests.chat.talker import pause

        begun = time.monotonic()
        while (waited := time.monotonic() - begun) < _CATCH_UP_SECONDS:
            last = (await asyncio.to_thread(snapshot, room.pk))["last_sequence"]
            if all(talker.state.have == last and not talker.waiting for talker in self.talkers):
                break
            for talker in self.talkers:
                await talker.say_again()
            await pause(0.25)
        return waited

    async def _compare(self, room: Any, caught_up: float) -> dict[str, Any]:
        truth = await self._look()
        right = {one["id"]: one for one in truth["messages"]}
        differing = [talker for talker in self.talkers if talker.state.messages != right]
        twice = [
            talker
            for talker in self.talkers
            if not talker.resyncs and talker.state.applied != truth["last_sequence"] and talker not in differing
        ]
        stored = await asyncio.to_thread(room.messages.exclude(client_id=None).count)
        return {
            "clients": len(self.talkers),
            "minutes": self.options.minutes,
            "restarts": dict(self.restarts),
            "messages_said": self.said,
            "messages_stored": stored,
            "unanswered": sum(len(talker.waiting) for talker in self.talkers),
            "done_by_another_process": dict(self.by_hand),
            "events": truth["last_sequence"],
            "clients_that_differ": len(differing) + len(twice) + (stored != self.said),
            "applied_not_exactly_once": len(twice),
            "pushed": sum(talker.pushed for talker in self.talkers),
            "fetched": sum(talker.fetched for talker in self.talkers),
            "connections": sum(talker.connections for talker in self.talkers),
            "resyncs": sum(talker.resyncs for talker in self.talkers),
            "seconds_to_catch_up": round(caught_up, 1),
            "load_of_the_machine": round(os.getloadavg()[0], 1),
        }

    async def _look(self) -> dict[str, Any]:
        from chat.models import Room

        room = await asyncio.to_thread(Room.objects.get, slug=ROOM)
        whole = await asyncio.to_thread(snapshot, room.pk)
        return {**whole, "messages": [slim(one) for one in whole["messages"]]}

    def _parse(self, text: str | bytes) -> dict[str, Any]:
        """Read a frame once for all clients that get the same, and keep of its messages what is compared."""
        import orjson

        frame = self._slimmed.get(text)
        if frame is None:
            frame = orjson.loads(text)
            for event in frame.get("events", [frame]):
                if isinstance(event.get("message"), dict):
                    event["message"] = slim(event["message"])
            if len(self._slimmed) > 500:
                self._slimmed.clear()
            self._slimmed[text] = frame
        return frame


def slim(message: dict[str, Any]) -> dict[str, Any]:
    """Return what tells whether two clients have the same: hundreds of them keep it in one process."""
    whole = json.dumps(message, sort_keys=True, ensure_ascii=False)
    digest = hashlib.sha256(whole.encode()).hexdigest()[:16]
    return {**{name: message[name] for name in ("id", "sequence", "version")}, "digest_hex": digest}


def prepare(clients: int) -> tuple[Any, list[str]]:
    """Make the room and its people, and log them in; returns their cookies."""
    from chat import actions
    from chat.models import Role
    from tests.chat.people import log_in, make_people

    people = make_people(clients)
    room = actions.open_room(ROOM, name="Soak", actor=None)
    room.members.create(user=people[0], role=Role.OWNER)
    return room, [log_in(user) for user in people]


def snapshot(room_pk: int) -> dict[str, Any]:
    """Look at the whole room."""
    from django.db import connection

    from chat import queries, showing
    from chat.models import Room

    try:
        room = Room.objects.get(pk=room_pk)
        return {
            "last_sequence": room.last_sequence,
            "room": showing.room(room),
            "messages": [showing.message(one) for one in queries.with_all(room.messages.order_by("sequence"))],
            "members": showing.members(queries.members_of(room)),
        }
    finally:
        connection.close()


def act(room: Any, source: Random) -> str:
    """Do something to one of the last messages, from a process that has no sockets; return what."""
    from django.db import connection

    from chat import actions
    from chat.errors import ChatError
    from chat.models import Message

    owner = room.members.get().user
    last = list(
        Message.objects.filter(room=room, deleted_at=None).select_related("author", "room").order_by("-pk")[:20]
    )
    try:
        if not last or source.random() < 0.25:
            actions.send_message(room, actor=owner, body="From elsewhere")
            return "said"
        message = source.choice(last)
        choice = source.choice(["edited", "deleted", "reacted", "pinned"])
        if choice == "edited":
            actions.edit_message(message, actor=message.author, body=f"Changed {source.random()}")
        elif choice == "deleted":
            actions.delete_message(message, actor=owner)
        elif choice == "reacted":
            actions.react(message, actor=owner, emoji="👍", is_on=source.random() < 0.7)
        else:
            actions.pin(message, actor=owner, is_on=source.random() < 0.5)
        return choice
    except ChatError as error:
        return type(error).__name__
    finally:
        connection.close()


if __name__ == "__main__":
    main()
