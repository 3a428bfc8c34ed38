"""A real Prometheus, for the time of a test."""

import os
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from config.processes import Process, Program, stop_all
from tests.conftest import WaitUntil
from tests.dashboards import tools
from tests.dashboards.tools import DASHBOARDS


class Prometheus:
    """Its API."""

    def __init__(self, port: int) -> None:
        self._client = httpx.Client(base_url=f"http://127.0.0.1:{port}/api/v1/", timeout=60)

    def ask(self, path: str, **parameters: str) -> Any:
        """Return what the API says of `path`."""
        answer = self._client.get(f"{path}?{urllib.parse.urlencode(parameters)}" if parameters else path).json()
        assert answer["status"] == "success", (path, parameters, answer.get("error"))
        return answer["data"]

    def query(self, expression: str) -> list[dict[str, Any]]:
        """Return what an expression gives now."""
        result: list[dict[str, Any]] = self.ask("query", query=expression)["result"]
        return result

    def close(self) -> None:
        """Let go of the connection."""
        self._client.close()


@contextmanager
def running_prometheus(
    folder: Path, web_url: str, port: int, wait_until: WaitUntil, *, jobs: str = "", rules: Path = DASHBOARDS / "rules"
) -> Iterator[Prometheus]:
    """Run it with the configuration for `make run`; only ports, intervals, more jobs and rules are other than there."""
    config = (DASHBOARDS / "prometheus" / "local.yml").read_text()
    for old, new in (
        ("127.0.0.1:8000", web_url.removeprefix("http://")),
        ("127.0.0.1:9090", f"127.0.0.1:{port}"),
        ("scrape_interval: 5s", "scrape_interval: 1s"),
        ("evaluation_interval: 15s", "evaluation_interval: 1s"),
    ):
        assert old in config
        config = config.replace(old, new)
    (folder / "prometheus").mkdir()
    (folder / "prometheus" / "local.yml").write_text(config + jobs)
    (folder / "rules").symlink_to(rules)
    arguments = [
        tools.path_of("prometheus"),
        f"--config.file={folder / 'prometheus' / 'local.yml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--enable-feature=exemplar-storage",
    ]
    process = Process(Program("prometheus", arguments, folder, {"PATH": os.environ["PATH"]}))
    server = Prometheus(port)

    def is_up() -> bool:
        assert process.is_running, list(process.last_lines)
        try:
            return bool(server.ask("targets"))
        except (httpx.TransportError, ValueError):
            return False

    try:
        wait_until(is_up, timeout=60)
        yield server
    finally:
        server.close()
        stop_all([process])
