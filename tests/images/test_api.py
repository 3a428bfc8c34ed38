"""The API of pictures, as each role, by session and by token."""

from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from accounts.actions import create_token
from accounts.models import User
from audit.models import Event
from images import files
from images.models import Picture
from tests.images import pictures
from tests.images.conftest import NewUser, Run, Upload

pytestmark = pytest.mark.django_db(transaction=True)

LIST = "/api/images/"


@pytest.fixture(autouse=True)
def _broker(servers: Any) -> None:
    """Uploads are published."""


def post(client: Client, data: bytes | None = None, name: str = "photo.png", **fields: Any) -> Any:
    file = SimpleUploadedFile(name, pictures.picture() if data is None else data, "text/html")
    return client.post(LIST, {"file": file, **fields.pop("values", {})}, **fields)


@pytest.mark.parametrize(
    ("role", "status"),
    [("author", 201), ("moderator", 201), ("reader", 201), ("admin", 201), ("auditor", 403), ("operator", 403)],
)
def test_roles_that_write_upload(role: str, status: int, client: Client, new_user: NewUser) -> None:
    client.force_login(new_user("someone", role))
    assert post(client).status_code == status
    assert client.get(LIST).status_code == 200
    assert Picture.objects.count() == (status == 201)


def test_strangers_get_nothing(client: Client) -> None:
    assert post(client).status_code == client.get(LIST).status_code == 401


def test_a_picture_tells_how_far_it_is(client: Client, author: User, run_pipeline: Run) -> None:
    client.force_login(author)
    answer = post(client, pictures.photo((800, 600)), "sea.jpg", values={"alt": "The sea"})
    made = answer.json()
    assert (made["state"], made["progress"], made["url"]) == ("waiting", {"done": 0, "total": 6}, None)
    assert made["request_id"] == answer.headers["X-Request-ID"]
    run_pipeline()
    ready = client.get(f"{LIST}{made['id']}/").json()
    assert (ready["state"], ready["progress"], ready["alt"]) == ("ready", {"done": 6, "total": 6}, "The sea")
    assert (ready["format"], ready["width"], ready["height"], ready["frames"]) == ("JPEG", 800, 600, 1)
    assert [thumbnail["width"] for thumbnail in ready["thumbnails"]] == [320, 640, 800]
    for url in (ready["url"], *(thumbnail["url"] for thumbnail in ready["thumbnails"])):
        shown = client.get(url)
        assert shown.status_code == 200
        assert shown.headers["X-Content-Type-Options"] == "nosniff"
        assert shown.headers["Content-Type"] in ("image/jpeg", "image/webp")
        shown.close()
    assert client.get(LIST).json()["results"] == [ready]


def test_what_waits_has_no_address(client: Client, upload: Upload) -> None:
    picture = upload()
    for path in (picture.incoming.name, f"incoming/{picture.incoming.name}", f"../incoming/{picture.incoming.name}"):
        assert client.get(f"/media/{path}").status_code == 404


@pytest.mark.parametrize(
    ("data", "name", "message"),
    [
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "a.png", "SVG"),
        (b"", "a.png", "empty"),
        (pictures.picture("JPEG"), "a.png", "call it a.jpg"),
        (pictures.picture() + pictures.archive(), "a.png", "something else"),
    ],
)
def test_a_refusal_names_the_field_and_how_to_mend_it(
    data: bytes, name: str, message: str, client: Client, author: User
) -> None:
    client.force_login(author)
    answer = post(client, data, name)
    assert (answer.status_code, answer.headers["Content-Type"]) == (400, "application/problem+json")
    assert message in answer.json()["errors"]["file"][0]
    assert client.get(LIST).json()["results"] == []


def test_without_a_file_or_as_json_nothing_is_uploaded(client: Client, author: User) -> None:
    client.force_login(author)
    assert "file" in client.post(LIST, {"alt": "x"}).json()["errors"]
    assert client.post(LIST, {"file": "x"}, content_type="application/json").status_code == 415
    assert list(post(client, values={"alt": "x" * 501}).json()["errors"]) == ["alt"]
    assert not Picture.objects.exists()


def test_a_full_disk_is_no_fault_of_the_client(client: Client, author: User, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_space(*args: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", no_space)
    client.force_login(author)
    answer = post(client)
    assert (answer.status_code, "no room" in answer.json()["detail"]) == (507, True)
    assert not Picture.objects.exists()


@pytest.mark.parametrize("method", ["get", "patch", "delete"])
def test_someone_elses_is_not_found_and_that_is_remembered(
    method: str, client: Client, upload: Upload, reader: User
) -> None:
    picture = upload()
    client.force_login(reader)
    answer = getattr(client, method)(f"{LIST}{picture.pk}/", {"alt": "mine"}, content_type="application/json")
    assert answer.status_code == 404
    event = Event.objects.get(action="images.picture.viewed")
    assert (event.outcome, event.object_id, event.actor_id) == ("denied", str(picture.pk), str(reader.pk))
    assert client.get(f"{LIST}999999/").status_code == 404
    assert Event.objects.filter(action="images.picture.viewed").count() == 1
    assert client.get(LIST).json()["results"] == []


def test_a_picture_is_described_and_deleted(client: Client, upload: Upload, author: User) -> None:
    address = f"{LIST}{upload().pk}/"
    client.force_login(author)
    answer = client.patch(address, {"alt": "The sea"}, content_type="application/json")
    assert (answer.status_code, answer.json()["alt"]) == (200, "The sea")
    assert client.patch(address, {"alt": "x" * 501}, content_type="application/json").status_code == 400
    assert client.delete(address).status_code == 204
    assert client.get(address).status_code == 404


def test_a_token_needs_the_scopes(client: Client, author: User) -> None:
    tokens = {}
    for scope in ("images:read", "images:write", "blog:write"):
        _, text = create_token(author, actor=author, scopes=[scope])
        tokens[scope] = {"Authorization": f"Bearer {text}"}
    assert post(client, headers=tokens["images:write"]).status_code == 201
    assert client.get(LIST, headers=tokens["images:read"]).status_code == 200
    for scope in ("images:read", "blog:write"):
        assert post(client, headers=tokens[scope]).status_code == 403
    assert client.get(LIST, headers=tokens["images:write"]).status_code == 403
