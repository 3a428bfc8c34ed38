"""The platform's own processes (web, sockets, worker, beat): how each is started, and when it's ready."""

import http.client
import os
import signal
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from config.processes import Program

_SOURCE_ROOT = Path(__file__).resolve().parents[1]
_LARGEST_MESSAGE_BYTES = 65_536
_WEB_SIGNALS = ((0.0, signal.SIGTERM), (4.0, signal.SIGKILL))
# A warm stop lets the tasks at work finish, a cold one gives them back to the queue.
_WORKER_SIGNALS = ((0.0, signal.SIGTERM), (4.0, signal.SIGQUIT), (5.5, signal.SIGKILL))


@dataclass(frozen=True)
class Part:
    """A process of the platform; `is_ready` asks it whether it does its work by now."""

    program: Program
    is_ready: Callable[[], bool]


def web(port: int, local_dir: Path, *, socket_port: int) -> Part:
    """Return the web process: HTTP over WSGI; its pages open their sockets on `socket_port`."""
    arguments = [
        *("-m", "granian", "config.wsgi:application", "--interface", "wsgi"),
        *("--host", "127.0.0.1", "--port", str(port)),
        *("--workers", "1", "--blocking-threads", "4", "--workers-kill-timeout", "3"),
        *("--respawn-failed-workers", "--no-ws", "--no-access-log", "--log-level", "warning"),
        *("--log-config", str(_SOURCE_ROOT / "config" / "granian_logging.json")),  # its parent's lines are ours too
    ]
    return Part(
        _program(
            "web", arguments, local_dir, {"PORT": str(port), "SOCKET_PORT": str(socket_port)}, signals=_WEB_SIGNALS
        ),
        lambda: answers(port, "/healthz/ready"),
    )


def sockets(port: int, local_dir: Path, *, web_port: int) -> Part:
    """Return the sockets process: WebSockets over ASGI, for pages that the web process serves on `web_port`."""
    arguments = [
        *("-m", "uvicorn", "config.asgi:application", "--host", "127.0.0.1", "--port", str(port)),
        *("--lifespan", "off", "--no-access-log", "--log-level", "warning", "--timeout-graceful-shutdown", "2"),
        *("--ws-max-size", str(_LARGEST_MESSAGE_BYTES), "--ws", "config.socket_protocol:SocketProtocol"),
    ]
    environment = {"PORT": str(web_port), "SOCKET_PORT": str(port)}
    return Part(
        _program("sockets", arguments, local_dir, environment, signals=_WEB_SIGNALS),
        lambda: answers(port, "/healthz/live"),
    )


def worker(local_dir: Path, *, concurrency: int = 2) -> Part:
    """Return the worker for all queues; it tells that it takes tasks by a file that `config.readiness` writes."""
    ready_file = local_dir / "worker.ready"
    arguments = [
        *("-m", "celery", "--quiet", "--app", "config.celery", "--skip-checks"),
        *("worker", "--concurrency", str(concurrency), "--loglevel", "INFO"),
        *("--include", "config.readiness", "--without-gossip", "--without-mingle"),
    ]
    ready_file.unlink(missing_ok=True)
    # Celery warns of root on every start; here it's a developer's own machine or a container.
    environment = {"GLASSHOUSE_READY_FILE": str(ready_file), "PYTHONWARNINGS": "ignore:::celery.platforms"}
    return Part(
        _program("worker", arguments, local_dir, environment, signals=_WORKER_SIGNALS),
        ready_file.exists,
    )


def beat(local_dir: Path) -> Part:
    """Return beat, which sends the periodic tasks. It answers nobody, so it's ready once it runs."""
    arguments = ["-m", "celery", "--quiet", "--app", "config.celery", "--skip-checks", "beat", "--loglevel", "INFO"]
    return Part(_program("beat", arguments, local_dir, {}), lambda: True)


def command(name: str, *arguments: str, local_dir: Path) -> Program:
    """Return a management command to be run in a process of its own, which tells of trouble alone."""
    environment = {"GLASSHOUSE_PROCESS": "command", "LOG_LEVEL": os.environ.get("LOG_LEVEL", "WARNING")}
    return _program(name, [str(_SOURCE_ROOT / "manage.py"), *arguments], local_dir, environment)


def answers(port: int, path: str) -> bool:
    """Return whether http://127.0.0.1:`port``path` gives a 200."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=3)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        with suppress(OSError):
            connection.close()


def _program(
    name: str,
    arguments: list[str],
    local_dir: Path,
    environment: Mapping[str, str],
    *,
    signals: tuple[tuple[float, signal.Signals], ...] = ((0.0, signal.SIGTERM), (4.0, signal.SIGKILL)),
) -> Program:
    return Program(
        name=name,
        arguments=[sys.executable, *arguments],
        directory=_SOURCE_ROOT,
        environment={
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(_SOURCE_ROOT), str(_SOURCE_ROOT.parent)]),
            "PYTHONUNBUFFERED": "1",
            "DJANGO_SETTINGS_MODULE": os.environ.get("DJANGO_SETTINGS_MODULE", "config.settings.development"),
            "LOCAL_DIR": str(local_dir),
            "GLASSHOUSE_PROCESS": name,
            **environment,
        },
        signals=signals,
    )
