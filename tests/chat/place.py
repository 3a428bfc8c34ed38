"""A chat of its own: PostgreSQL, Redis and the sockets' process, which may be stopped, killed and started again.

For scripts as well as tests: it's the caller who sets Django up, with `LOCAL_DIR` in the environment.
"""

import os
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from config import parts
from config.embedded import postgres, redis
from config.processes import Process, stop_all, wait_for

_PROJECT = Path(__file__).resolve().parents[2]
_READY_SECONDS = 60
# Hundreds of clients at one address say what they like.
PLENTY = {
    "CHAT_MESSAGES_PER_MINUTE": "1000000",
    "CHAT_MESSAGES_PER_MINUTE_OF_ADDRESS": "1000000",
    "CHAT_SOCKETS_OF_USER": "1000000",
    "CHAT_SOCKETS_OF_ADDRESS": "1000000",
    "NOTIFICATIONS_SOCKETS_OF_USER": "1000000",
    "NOTIFICATIONS_SOCKETS_OF_ADDRESS": "1000000",
}


@dataclass
class Place:
    """The servers. `port` is where the sockets are."""

    local_dir: Path
    port: int = 0
    processes: dict[str, Process] = field(default_factory=dict)

    def start(self) -> None:
        """Start all of it, on a free port, with migrated tables."""
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port = probe.getsockname()[1]
        self.processes["postgres"] = postgres.start(self.local_dir)
        self.start_redis()
        migrate = [sys.executable, str(_PROJECT / "platform" / "manage.py"), "migrate", "--database", "owner"]
        subprocess.run([*migrate, "--verbosity", "0"], check=True, cwd=_PROJECT)
        self.start_sockets()

    def start_redis(self) -> None:
        """Start Redis, which remembers what it wrote."""
        self.processes["redis"] = redis.start(self.local_dir)

    def start_sockets(self) -> None:
        """Start the sockets' process, and wait until it answers."""
        part = parts.sockets(self.port, self.local_dir, web_port=self.port)
        process = self.processes["sockets"] = Process(part.program)
        if not wait_for(lambda: part.is_ready() or not process.is_running, timeout_seconds=_READY_SECONDS):
            raise SystemExit(f"The sockets' process isn't ready:\n{chr(10).join(process.last_lines)}")
        if not process.is_running:
            raise SystemExit(f"The sockets' process {process.describe_end()}:\n{chr(10).join(process.last_lines)}")

    def stop(self, name: str, *, is_killed: bool = False) -> None:
        """Stop one of the servers: at once where it's killed."""
        process = self.processes.pop(name)
        if is_killed:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        stop_all([process])

    def stop_all(self) -> None:
        """Stop what still runs."""
        stop_all(list(self.processes.values()))
