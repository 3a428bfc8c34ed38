"""The pages of pictures, without scripts."""

from html import unescape
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from accounts.models import User
from audit.models import Event
from images import files, limits
from images.models import Picture, State
from images.pipeline import actions as pipeline
from tests.images import pictures
from tests.images.conftest import NewUser, Run, Upload

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _broker(servers: Any) -> None:
    """Uploads are published."""


def file(data: bytes | None = None, name: str = "photo.png") -> SimpleUploadedFile:
    return SimpleUploadedFile(name, pictures.picture() if data is None else data, "image/png")


def text(response: Any) -> str:
    return unescape(response.content.decode())


def test_strangers_are_asked_to_log_in(client: Client, upload: Upload) -> None:
    picture = upload()
    for path in ("", f"{picture.pk}/", f"{picture.pk}/card/", f"{picture.pk}/delete/"):
        assert client.get(f"/images/{path}").status_code == 302


@pytest.mark.parametrize("role", ["author", "moderator", "reader", "admin"])
def test_a_form_uploads_a_picture_and_leads_to_it(role: str, client: Client, new_user: NewUser) -> None:
    client.force_login(new_user("someone", role))
    assert 'href="/images/"' in text(client.get("/"))
    answer = client.post("/images/", {"file": file(), "alt": "The sea"})
    picture = Picture.objects.get()
    assert (answer.status_code, answer.headers["Location"]) == (302, f"/images/{picture.pk}/")
    page = text(client.get(f"/images/{picture.pk}/"))
    assert 'http-equiv="refresh"' in page
    assert '<progress max="6" value="0"' in page


@pytest.mark.parametrize("role", ["auditor", "operator", "developer"])
def test_others_find_no_form_and_can_not_send_one(role: str, client: Client, new_user: NewUser) -> None:
    client.force_login(new_user("someone", role))
    page = text(client.get("/images/"))
    assert "may not upload" in page
    assert 'type="file"' not in page
    assert 'href="/images/"' not in text(client.get("/"))
    assert client.post("/images/", {"file": file()}).status_code == 403
    assert Event.objects.filter(action="images.access.denied", outcome="denied").count() == 1


def test_the_page_follows_a_picture_to_its_thumbnails(
    client: Client, upload: Upload, author: User, run_pipeline: Run
) -> None:
    picture = upload(pictures.photo((1600, 1200)), "sea.jpg", alt="The <sea>")
    client.force_login(author)
    assert "data-busy" in text(client.get("/images/"))
    pipeline.validate_picture(picture.pk)
    pipeline.add_thumbnail(picture.pk, 320)
    card = text(client.get(f"/images/{picture.pk}/card/"))
    assert 'data-version="processing-2" data-busy' in card
    assert "2 of 6" in card
    run_pipeline()
    picture.refresh_from_db()
    card = text(client.get(f"/images/{picture.pk}/card/"))
    assert "data-busy" not in card
    for thumbnail in picture.thumbnails.all():
        assert f"{thumbnail.file.url} {thumbnail.width}w" in card
    page = client.get(f"/images/{picture.pk}/").content.decode()
    assert f"{picture.file.url} 1600w" in page
    assert 'alt="The &lt;sea&gt;"' in page
    assert "http-equiv" not in page
    assert "http-equiv" not in text(client.get("/images/"))


def test_each_width_is_offered_once(client: Client, upload: Upload, author: User, run_pipeline: Run) -> None:
    upload()
    run_pipeline()
    client.force_login(author)
    assert Picture.objects.get().srcset.count("w") - Picture.objects.get().srcset.count(".webp") == 1


def test_an_animation_moves_on_its_own_page_alone(
    client: Client, upload: Upload, author: User, run_pipeline: Run
) -> None:
    picture = upload(pictures.animation("GIF"), "a.gif")
    run_pipeline()
    client.force_login(author)
    picture.refresh_from_db()
    assert f'<img src="{picture.file.url}"  width' in text(client.get(f"/images/{picture.pk}/"))
    assert picture.file.url not in text(client.get("/images/"))


def test_of_several_files_the_good_are_kept_and_the_bad_are_named(client: Client, author: User) -> None:
    client.force_login(author)
    bad = file(pictures.picture() + pictures.PROGRAM, "<b>evil.png")
    answer = client.post("/images/", {"file": [file(), bad], "alt": "x"})
    assert answer.status_code == 400
    page = answer.content.decode()
    assert "<strong>&lt;b&gt;evil.png</strong>: after the image" in page
    assert 'value="x"' in page
    assert [picture.name for picture in Picture.objects.all()] == ["photo.png"]
    answer = client.post("/images/", {"file": [file(), file()]})
    assert answer.headers["Location"] == "/images/"


def test_a_form_without_a_file_says_so(client: Client, author: User) -> None:
    client.force_login(author)
    answer = client.post("/images/", {"alt": ""})
    assert (answer.status_code, "choose one first" in text(answer)) == (400, True)
    answer = client.post("/images/", {"file": file(), "alt": "x" * 501})
    assert (answer.status_code, "501 characters" in text(answer)) == (400, True)


def test_a_full_disk_is_told(client: Client, author: User, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_space(*args: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", no_space)
    client.force_login(author)
    answer = client.post("/images/", {"file": file()})
    assert (answer.status_code, "no room for it" in text(answer)) == (507, True)


@pytest.mark.parametrize(("state", "word"), [(State.REFUSED, "Refused"), (State.FAILED, "Failed")])
def test_a_bad_end_is_told_with_its_reason(
    state: State, word: str, client: Client, upload: Upload, author: User
) -> None:
    picture = upload()
    Picture.objects.update(state=state, message="it's broken <here>")
    client.force_login(author)
    for path in ("/images/", f"/images/{picture.pk}/"):
        page = client.get(path).content.decode()
        assert f">{word}</span> it&#x27;s broken &lt;here&gt;." in page


@pytest.mark.parametrize("path", ["", "card/", "delete/"])
def test_someone_elses_page_is_not_found_and_that_is_remembered(
    path: str, client: Client, upload: Upload, reader: User
) -> None:
    picture = upload()
    client.force_login(reader)
    assert client.get(f"/images/{picture.pk}/{path}").status_code == 404
    assert Event.objects.get(action="images.picture.viewed").outcome == "denied"
    assert "photo.png" not in text(client.get("/images/"))
    assert client.post(f"/images/{picture.pk}/describe/", {"alt": "x"}).status_code == 404
    assert client.post(f"/images/{picture.pk}/delete/").status_code == 404
    assert Picture.objects.count() == 1


def test_an_administrator_looks_after_all(client: Client, upload: Upload, new_user: NewUser) -> None:
    picture = upload()
    client.force_login(new_user("ada", "admin"))
    assert client.get(f"/images/{picture.pk}/").status_code == 200
    assert client.post(f"/images/{picture.pk}/delete/").status_code == 302
    assert not Picture.objects.exists()


def test_a_picture_is_described(client: Client, upload: Upload, author: User, run_pipeline: Run) -> None:
    address = f"/images/{upload().pk}/"
    run_pipeline()
    client.force_login(author)
    assert client.post(f"{address}describe/", {"alt": "The sea"}).status_code == 302
    assert 'value="The sea"' in text(client.get(address))
    answer = client.post(f"{address}describe/", {"alt": "x" * 501})
    assert (answer.status_code, "501 characters" in text(answer)) == (400, True)


def test_a_picture_is_deleted_after_a_question(client: Client, upload: Upload, author: User) -> None:
    address = f"/images/{upload().pk}/delete/"
    client.force_login(author)
    assert "Delete “photo.png”?" in text(client.get(address))
    assert Picture.objects.exists()
    assert client.post(address).headers["Location"] == "/images/"
    assert not Picture.objects.exists()


def test_a_list_costs_the_same_however_long_it_is(
    client: Client, upload: Upload, author: User, django_assert_max_num_queries: Any
) -> None:
    client.force_login(author)
    for _ in range(3):
        upload()
    with django_assert_max_num_queries(12):
        client.get("/images/")


def test_many_pictures_come_by_pages(
    client: Client, upload: Upload, author: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "PICTURES_PER_PAGE", 2)
    for number in range(3):
        upload(name=f"p{number}.png")
    client.force_login(author)
    first, second = text(client.get("/images/")), text(client.get("/images/?page=2"))
    assert [name in first for name in ("p2.png", "p1.png", "p0.png")] == [True, True, False]
    assert "p0.png" in second
