"""Uploading, describing and deleting."""

import errno
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.db import transaction

from accounts.models import User
from audit.models import Event
from images import actions, files, limits, queries
from images.errors import NoRoomError, NotAllowedError, RefusedError
from images.models import Picture, State
from images.pipeline import actions as pipeline
from tasks.models import TaskRun
from tests.images import pictures
from tests.images.conftest import NewUser, Run, Upload, files_in

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _broker(servers: Any) -> None:
    """Uploads are published."""


@pytest.mark.parametrize("role", ["author", "contributor", "moderator", "reader", "admin"])
def test_whoever_writes_something_uploads(role: str, new_user: NewUser, upload: Upload) -> None:
    picture = upload(actor=new_user("someone", role))
    assert (picture.state, picture.uploader.username, picture.name) == (State.WAITING, "someone", "photo.png")
    assert len(picture.checksum_sha256) == 64


@pytest.mark.parametrize("role", ["auditor", "operator", "developer", ""])
def test_others_do_not_and_the_ledger_remembers(role: str, new_user: NewUser, upload: Upload) -> None:
    with pytest.raises(NotAllowedError):
        upload(actor=new_user("someone", role))
    event = Event.objects.get(action="images.access.denied")
    assert (event.outcome, event.changes) == ("denied", {"action": "upload_picture"})


def test_what_is_refused_leaves_nothing(upload: Upload, folders: tuple[Path, Path]) -> None:
    with pytest.raises(RefusedError, match="something else"):
        upload(pictures.picture() + pictures.archive())
    assert not Picture.objects.exists()
    assert not TaskRun.objects.exists()
    assert files_in(folders[0]) == files_in(folders[1]) == []


def test_a_file_that_is_too_large_is_not_even_read_whole(upload: Upload, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "IMAGE_BYTES", 50)
    with pytest.raises(RefusedError, match="at most 50"):
        upload()


def test_nobody_fills_the_queue(
    upload: Upload, reader: User, run_pipeline: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "UNFINISHED_PICTURES", 2)
    upload()
    upload()
    with pytest.raises(RefusedError, match="2 pictures of yours are on their way"):
        upload()
    upload(actor=reader)
    run_pipeline()
    assert upload().state == State.WAITING


def test_the_upload_is_kept_for_the_application_alone(upload: Upload, folders: tuple[Path, Path]) -> None:
    upload(name="../../etc/pass\0wd.png")
    picture = Picture.objects.get()
    assert picture.name == "passwd.png"
    (name,) = files_in(folders[1])
    assert name == picture.incoming.name == f"{picture.key[:2]}/{picture.key}"
    assert (folders[1] / name).stat().st_mode & 0o777 == 0o600
    assert files_in(folders[0]) == []


def test_a_long_name_keeps_its_ending(upload: Upload) -> None:
    picture = upload(name="ä" * 300 + ".png")
    assert len(picture.name) <= limits.NAME_CHARACTERS
    assert picture.name.endswith(".png")


def test_a_full_disk_is_told_and_leaves_nothing(
    upload: Upload, folders: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_space(*args: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", no_space)
    with pytest.raises(NoRoomError, match="no room for it"):
        upload()
    assert not Picture.objects.exists()
    assert not TaskRun.objects.exists()
    assert files_in(folders[1]) == []


def test_what_can_not_be_recorded_leaves_no_file(
    upload: Upload, folders: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(picture_id: int) -> None:
        raise RuntimeError("no")

    monkeypatch.setattr(actions, "enqueue_pipeline", fail)
    with pytest.raises(RuntimeError):
        upload()
    assert not Picture.objects.exists()
    assert files_in(folders[1]) == []


def test_a_rollback_around_it_leaves_a_file_that_is_named(upload: Upload, take_message: Callable[..., Any]) -> None:
    with pytest.raises(RuntimeError), transaction.atomic():
        upload()
        raise RuntimeError
    ((storage, _),) = queries.orphaned_files(age=-files_age())
    assert storage == "incoming"
    assert take_message("images") is None


def files_age() -> Any:
    from datetime import timedelta

    return timedelta(seconds=1)


def test_a_description_is_changed_by_its_uploader_alone(upload: Upload, author: User, reader: User) -> None:
    picture = upload(alt="  The\n sea ")
    assert picture.alt == "The sea"
    actions.describe_picture(picture, actor=author, alt="The shore")
    picture.refresh_from_db()
    assert picture.alt == "The shore"
    event = Event.objects.filter(action="images.picture.updated").latest("id")
    assert event.changes == {"alt": ["The sea", "The shore"]}
    with pytest.raises(NotAllowedError):
        actions.describe_picture(picture, actor=reader, alt="Mine")
    with pytest.raises(RefusedError, match="501 characters; at most 500"):
        actions.describe_picture(picture, actor=author, alt="x" * 501)


@pytest.mark.parametrize("is_ready", [True, False])
def test_a_picture_goes_with_all_its_files(
    is_ready: bool, upload: Upload, run_pipeline: Run, author: User, folders: tuple[Path, Path]
) -> None:
    picture = upload()
    if is_ready:
        run_pipeline()
    else:
        pipeline.validate_picture(picture.pk)
        pipeline.add_thumbnail(picture.pk, 320)
    with transaction.atomic():
        actions.delete_picture(picture, actor=author)
        assert files_in(folders[0]) != []  # it isn't certain yet
    assert files_in(folders[0]) == files_in(folders[1]) == []
    assert not Picture.objects.exists()
    assert Event.objects.filter(action="images.picture.deleted").count() == 1
    actions.delete_picture(picture, actor=author)  # twice is once


def test_others_do_not_delete_it_but_an_administrator_does(upload: Upload, reader: User, new_user: NewUser) -> None:
    picture = upload()
    with pytest.raises(NotAllowedError):
        actions.delete_picture(picture, actor=reader)
    assert Event.objects.filter(action="images.access.denied", object_id=str(picture.pk)).exists()
    actions.delete_picture(picture, actor=new_user("ada", "admin"))
    assert not Picture.objects.exists()
