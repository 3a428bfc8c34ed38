"""What the chat carries: open sockets, broadcasts, stored messages, and what was missed.

- memory of the sockets' process with 1,000 open rooms;
- a broadcast to 200 sockets, beside Channels with nothing of ours on the same server and Redis, in turns: from its
  sending to each arrival, the 99th percentile, as the median ratio over the rounds;
- messages stored in a minute over sockets, each looked for afterwards;
- the time from a handshake to the last of 500 events that were missed.

PostgreSQL (durable), Redis and the processes are started and stopped.
"""

import argparse
import asyncio
import json
import os
import signal
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
PROJECT = HERE.parents[1]
sys.path[:0] = [str(PROJECT / "platform"), str(PROJECT)]

EXAMPLES = """
examples:
  python tests/benchmarks/chat.py
  python tests/benchmarks/chat.py --only resume broadcast --format json
"""
PARTS = ("memory", "broadcast", "messages", "resume")
TO_REACH = {"memory": 400.0, "broadcast": 1.3, "messages": 10_000.0, "resume": 100.0}
LISTENERS = 200
MISSED = 500
_TALKERS = 40
_ROOMS = 4
_SAY_EVERY_SECONDS = 0.12  # below the limit of frames of a socket


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--sockets", type=int, default=1_000)
    parser.add_argument("--seconds", type=float, default=30.0, help="How long messages are stored (30).")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--format", choices=["text", "json"], default="text")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with tempfile.TemporaryDirectory(prefix="glasshouse-chat-") as folder:
        from tests.chat.place import PLENTY, Place

        os.environ |= {"LOCAL_DIR": folder, "DJANGO_SETTINGS_MODULE": "config.settings.development", **PLENTY}
        os.environ |= {"LOG_LEVEL": "WARNING", "TELEMETRY_SAMPLE_RATIO": "0.1"}
        for name in ("DATABASE_URL", "DATABASE_OWNER_URL", "REDIS_URL"):
            os.environ.pop(name, None)
        place = Place(Path(folder))
        try:
            place.start()
            import django

            django.setup()
            figures = {name: MEASURES[name](place, options) for name in PARTS if name in options.only}
            figures["load_of_the_machine"] = round(os.getloadavg()[0], 1)
        finally:
            place.stop_all()
    print(json.dumps(figures) if options.format == "json" else as_text(figures))


def measure_memory(place: Any, options: argparse.Namespace) -> dict[str, float]:
    """Open many sockets, let each hear a few messages, and look at the process."""
    from chat_peers.listeners import Listener

    from chat import actions
    from tests.chat.people import log_in, make_people

    before = megabytes(place.processes["sockets"].pid)
    people = make_people(options.sockets, prefix="many")
    rooms = [actions.open_room(f"many-{number}", name="Many", actor=None) for number in range(20)]
    begun = time.monotonic()
    open_ones = [
        Listener(place.port, f"/ws/chat/many-{number % 20}/?after=0", log_in(user))
        for number, user in enumerate(people)
    ]
    for one in open_ones:
        one.wait_for(b'"hello"')
    seconds = time.monotonic() - begun
    for room in rooms:
        actions.send_message(room, actor=people[0], body="Hello, all of you")
    for one in open_ones:
        one.wait_for(b"message.created")
    after = megabytes(place.processes["sockets"].pid)
    for one in open_ones:
        one.close()
    return {
        "megabytes": after,
        "megabytes_before": before,
        "sockets": len(open_ones),
        "seconds_to_open": round(seconds, 1),
    }


def measure_broadcast(place: Any, options: argparse.Namespace) -> dict[str, float]:
    """Send to 200 sockets of each server in turns."""
    import redis as redis_py
    from chat_peers.listeners import Listener, latencies

    from chat import actions
    from chat.actions.log import group_of
    from config.channel_layer import ChannelLayer
    from notifications.push import push_to_group
    from tests.chat.people import log_in, make_people

    assert ChannelLayer
    bare_port, url = start_bare(place)
    user = make_people(1, prefix="listener")[0]
    cookie = log_in(user)
    room = actions.open_room("broadcast", name="Broadcast", actor=None)
    ours = [Listener(place.port, "/ws/chat/broadcast/", cookie) for _ in range(LISTENERS)]
    for one in ours:
        one.wait_for(b'"hello"')
    bare = [Listener(bare_port, "/ws/bare/") for _ in range(LISTENERS)]
    filler = "x" * 500
    client = redis_py.Redis.from_url(url)
    serialise = _bare_serialiser()
    numbers = iter(range(1, 10**9))

    def publish_ours(marker: bytes) -> None:
        text = f'{{"type":"message.created","text":"{marker.decode()}{filler}"}}'
        push_to_group(group_of(room), {"type": "message.created", "sequence": next(numbers), "text": text})

    def publish_bare(marker: bytes) -> None:
        text = f'{{"type":"message.created","text":"{marker.decode()}{filler}"}}'
        client.publish("bare__group__room", serialise({"type": "message.created", "text": text}))

    figures: dict[str, list[float]] = {"ours": [], "bare": []}
    for _ in range(options.rounds):
        for name, listeners, publish in (("bare", bare, publish_bare), ("ours", ours, publish_ours)):
            times = latencies(listeners, publish, rounds=25)
            figures[name].append(sorted(times)[int(len(times) * 0.99)] * 1e3)
    for one in (*ours, *bare):
        one.close()
    ratios = [mine / other for mine, other in zip(figures["ours"], figures["bare"], strict=True)]
    return {
        "ratio": round(statistics.median(ratios), 2),
        "p99_ms": round(statistics.median(figures["ours"]), 1),
        "bare_p99_ms": round(statistics.median(figures["bare"]), 1),
        "spread": round(statistics.quantiles(ratios, n=4)[2] - statistics.quantiles(ratios, n=4)[0], 2)
        if len(ratios) > 1
        else 0.0,
    }


def measure_messages(place: Any, options: argparse.Namespace) -> dict[str, float]:
    """Let people talk as fast as one socket may, for a while; look for each message afterwards."""
    from chat import actions
    from tests.chat.people import log_in, make_people

    people = make_people(_TALKERS, prefix="busy")
    rooms = [actions.open_room(f"busy-{number}", name="Busy", actor=None) for number in range(_ROOMS)]
    cookies = [log_in(user) for user in people]
    before = processor_seconds(place)
    talked = asyncio.run(_talk(place.port, cookies, options.seconds))
    spent = {name: seconds - before[name] for name, seconds in processor_seconds(place).items()}
    stored = sum(room.messages.count() for room in rooms)
    distinct = sum(room.messages.values("client_id").distinct().count() for room in rooms)
    return {
        "a_minute": round(stored / talked["seconds"] * 60),
        "said": talked["said"],
        "stored": stored,
        "lost": talked["said"] - distinct,
        "clients_that_lack_some": talked["lacking"],
        "median_answer_ms": talked["median_ms"],
        "p99_answer_ms": talked["p99_ms"],
        # Of the processor, a message: what it takes says more than the rate does where others use the machine too.
        **{f"{name}_ms": round(seconds / max(1, stored) * 1e3, 1) for name, seconds in spent.items()},
    }


async def _talk(port: int, cookies: list[str], seconds: float) -> dict[str, Any]:
    from tests.chat.talker import Talker, pause

    async def look() -> dict[str, Any]:
        raise SystemExit("A client was told to begin anew.")

    nothing = {"last_sequence": 0, "room": {}, "messages": [], "members": []}
    talkers = [
        Talker(f"ws://127.0.0.1:{port}/ws/chat/busy-{number % _ROOMS}/", cookie, nothing, look, seed=number)
        for number, cookie in enumerate(cookies)
    ]
    living = [asyncio.create_task(talker.live()) for talker in talkers]
    while not all(talker.connections for talker in talkers):
        await pause(0.05)
    begun = time.monotonic()
    answers: list[float] = []

    async def speak(talker: Talker) -> int:
        said = 0
        while time.monotonic() - begun < seconds:
            sent_at = time.monotonic()
            await talker.say(f"Message {said} of somebody who has a lot to say")
            said += 1
            while talker.waiting:
                await pause(0.004)
                if time.monotonic() - sent_at > 20:
                    await talker.say_again()
            answers.append(time.monotonic() - sent_at)
            await pause(max(0.0, _SAY_EVERY_SECONDS - (time.monotonic() - sent_at)))
        return said

    said = sum(await asyncio.gather(*(speak(talker) for talker in talkers)))
    elapsed = time.monotonic() - begun
    last = {number: max(one.state.have for one in talkers[number::_ROOMS]) for number in range(_ROOMS)}
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        lacking = sum(one.state.have < last[place % _ROOMS] for place, one in enumerate(talkers))
        if not lacking:
            break
        await pause(0.1)
    for talker in talkers:
        await talker.leave()
    await asyncio.wait(living, timeout=20)
    answers.sort()
    return {
        "said": said,
        "seconds": elapsed,
        "lacking": lacking,
        "median_ms": round(statistics.median(answers) * 1e3, 1),
        "p99_ms": round(answers[int(len(answers) * 0.99)] * 1e3, 1),
    }


def measure_resume(place: Any, options: argparse.Namespace) -> dict[str, float]:
    """Miss 500 events, come back, and have them."""
    import orjson
    from chat_peers.listeners import Listener

    from chat import actions
    from tests.chat.people import log_in, make_people

    people = make_people(10, prefix="missed")
    room = actions.open_room("missed", name="Missed", actor=None)
    for number in range(MISSED):
        body = f"Message *{number}* with a [link](https://example.org/{number}) and some more words to read"
        sent = actions.send_message(room, actor=people[number % 10], body=body)
        if number % 10 == 0:
            sent.reactions.create(user=people[1], emoji="👍")
    cookie = log_in(people[0])
    times = []
    for _ in range(4 * options.rounds):
        begun = time.perf_counter()
        one = Listener(place.port, "/ws/chat/missed/?after=0", cookie)
        frame = orjson.loads(one.wait_for(b'"type":"events"'))
        times.append((time.perf_counter() - begun) * 1e3)
        if len(frame["events"]) != MISSED or frame["upto"] != MISSED:
            raise SystemExit(f"{len(frame['events'])} of {MISSED} events came.")
        one.close()
    times.sort()
    return {
        "median_ms": round(statistics.median(times), 1),
        "p90_ms": round(times[int(len(times) * 0.9)], 1),
        "first_ms": round(times[0], 1),
    }


MEASURES = {
    "memory": measure_memory,
    "broadcast": measure_broadcast,
    "messages": measure_messages,
    "resume": measure_resume,
}
_QUOTED = {"memory": "megabytes", "broadcast": "ratio", "messages": "a_minute", "resume": "median_ms"}


def start_bare(place: Any) -> tuple[int, str]:
    """Start the server without anything of ours, on the same Redis; returns its port and Redis' address."""
    import socket

    from config.embedded import addresses
    from config.parts import answers
    from config.processes import Process, Program, wait_for
    from config.redis_urls import CHANNELS, with_database

    assert answers
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    url = with_database(addresses.redis_url(place.local_dir), CHANNELS)
    arguments = [
        *(sys.executable, "-m", "uvicorn", "chat_peers.bare:application", "--host", "127.0.0.1", "--port", str(port)),
        *("--lifespan", "off", "--no-access-log", "--log-level", "warning"),
    ]
    environment = {**os.environ, "PYTHONPATH": str(HERE), "BARE_REDIS_URL": url}
    environment.pop("DJANGO_SETTINGS_MODULE")
    place.processes["bare"] = Process(Program("bare", arguments, HERE, environment))

    def listens() -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    if not wait_for(listens, timeout_seconds=30):
        raise SystemExit("\n".join(place.processes["bare"].last_lines))
    return port, url


def _bare_serialiser() -> Any:
    from channels_redis.pubsub import RedisPubSubChannelLayer

    return RedisPubSubChannelLayer(hosts=["redis://127.0.0.1:1"]).serialize


def processor_seconds(place: Any) -> dict[str, float]:
    """Return what the processes have used of the processor, PostgreSQL's together, and this one as `clients`."""
    used = {name: _seconds_of(process.pid) for name, process in place.processes.items()}
    main = place.processes["postgres"].pid
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if _fields_of(int(folder.name))[1] == str(main):
                used["postgres"] += _seconds_of(int(folder.name))
        except OSError:  # it has ended
            continue
    return {**used, "clients": time.process_time()}


def _seconds_of(pid: int) -> float:
    fields = _fields_of(pid)
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _fields_of(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def megabytes(pid: int) -> float:
    """Return what a process holds in memory."""
    fields = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return round(int(fields["VmRSS"].split()[0]) / 1024, 1)


def as_text(figures: dict[str, Any]) -> str:
    lines = [f"load of the machine {figures['load_of_the_machine']}"]
    for name in PARTS:
        if name in figures:
            value, wanted = figures[name][_QUOTED[name]], TO_REACH[name]
            is_reached = value >= wanted if name == "messages" else value <= wanted
            told = ", ".join(f"{key.replace('_', ' ')} {one}" for key, one in figures[name].items())
            lines.append(f"{name:<10} {'reached' if is_reached else 'missed'} ({wanted:g}): {told}")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
