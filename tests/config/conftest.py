"""Embedded servers of a test's own."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from config.embedded import addresses
from config.processes import Process, stop_all


@pytest.fixture
def local_dir() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="glasshouse-embedded-"))
    yield folder
    shutil.rmtree(addresses.socket_directory(folder), ignore_errors=True)
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def stopping() -> Iterator[list[Process]]:
    """Stop what a test puts in here."""
    started: list[Process] = []
    yield started
    stop_all(started)
