from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from celery import Celery
from django.contrib.auth.models import Group
from django.core.files.base import ContentFile

from accounts.models import User
from config.celery import app
from images import actions
from images.models import Picture
from tests.images import pictures
from tests.tasks.conftest import run_message, take_message, work_off

__all__ = ["run_message", "take_message", "work_off"]

NewUser = Callable[..., User]
Upload = Callable[..., Picture]
Run = Callable[[], int]


@pytest.fixture(autouse=True)
def folders(settings: Any, tmp_path: Path) -> tuple[Path, Path]:
    """Give each test folders of its own, for media and for what waits."""
    media, incoming = tmp_path / "media", tmp_path / "incoming"
    settings.MEDIA_ROOT = media
    storages = {name: dict(storage) for name, storage in settings.STORAGES.items()}
    storages["incoming"]["OPTIONS"] = {**storages["incoming"]["OPTIONS"], "location": incoming}
    settings.STORAGES = storages
    return media, incoming


@pytest.fixture
def new_user(db: None) -> NewUser:
    """Return a function that makes a user with roles; `admin` is the superuser."""

    def make(username: str, *roles: str) -> User:
        user = User.objects.create_user(username, display_name=username.title(), is_superuser="admin" in roles)
        user.groups.set(Group.objects.filter(name__in=roles))
        return user

    return make


@pytest.fixture
def author(new_user: NewUser) -> User:
    return new_user("anna", "author")


@pytest.fixture
def reader(new_user: NewUser) -> User:
    return new_user("rob", "reader")


@pytest.fixture
def upload(author: User) -> Upload:
    """Return a function that uploads bytes under a name, as `author` or someone else."""

    def send(data: bytes | None = None, name: str = "photo.png", *, actor: User = author, alt: str = "") -> Picture:
        file = ContentFile(pictures.picture() if data is None else data, name=name)
        return actions.upload_picture(file, actor=actor, alt=alt)

    return send


@pytest.fixture
def celery_app() -> Celery:
    return app


@pytest.fixture
def run_pipeline(servers: Any, take_message: Callable[..., Any], run_message: Callable[[Any], Any]) -> Run:
    """Return a function that runs all messages of the queue `images`, as a worker's child does; how many there were."""

    def run() -> int:
        count = 0
        for message in iter(partial(take_message, "images"), None):
            run_message(message)
            count += 1
        return count

    return run


def files_in(folder: Path) -> list[str]:
    """Return the names of all files below a folder."""
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
