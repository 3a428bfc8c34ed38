from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.db.models import Max, QuerySet
from PIL import Image

from accounts.models import User
from audit.models import Event
from blog import actions
from blog.models import Post

NewUser = Callable[..., User]


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
def other_author(new_user: NewUser) -> User:
    return new_user("otto", "author")


@pytest.fixture
def moderator(new_user: NewUser) -> User:
    return new_user("mona", "moderator")


@pytest.fixture
def reader(new_user: NewUser) -> User:
    return new_user("rob", "reader")


@pytest.fixture
def admin_user(new_user: NewUser) -> User:
    return new_user("ada", "admin")


@pytest.fixture
def draft(author: User) -> Post:
    return actions.create_post(actor=author, title="On drafts", body="Not *yet*.")


@pytest.fixture
def post(author: User) -> Post:
    made = actions.create_post(actor=author, title="On being seen", body="A **short** post.")
    return actions.publish_post(made, actor=author)


@pytest.fixture
def new_events(db: None) -> Callable[[str], QuerySet[Event]]:
    """Return a function that gives this test's events of one action, oldest first."""
    last = Event.objects.aggregate(last=Max("id"))["last"] or 0
    return lambda action: Event.objects.filter(id__gt=last, action=action).order_by("id")


@pytest.fixture(autouse=True)
def media(settings: Any, tmp_path: Path) -> Path:
    """Give each test a media folder of its own."""
    folder = tmp_path / "media"
    settings.MEDIA_ROOT = folder
    return folder


def picture(kind: str = "PNG", size: tuple[int, int] = (40, 20), colour: str = "green") -> bytes:
    """Return the bytes of an image."""
    file = BytesIO()
    Image.new("RGB", size, colour).save(file, kind)
    return file.getvalue()
