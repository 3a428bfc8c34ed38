"""Uploaded files are shown, never run."""

from pathlib import Path
from typing import Any

import pytest
from django.test import Client


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, settings: Any) -> Path:
    settings.MEDIA_ROOT = tmp_path / "media"
    settings.MEDIA_ROOT.mkdir()
    (tmp_path / "secret.png").write_bytes(b"secret")
    return settings.MEDIA_ROOT


def test_a_picture_is_shown_and_kept(client: Client, folder: Path) -> None:
    (folder / "a.png").write_bytes(b"\x89PNG")
    response = client.get("/media/a.png")
    assert b"".join(response.streaming_content) == b"\x89PNG"
    assert response.headers["Content-Type"] == "image/png"
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert response.headers["Content-Security-Policy"].endswith("sandbox")
    assert "immutable" in response.headers["Cache-Control"]
    assert response.headers["Content-Disposition"].startswith("inline")


@pytest.mark.parametrize("name", ["a.svg", "a.html", "a"])
def test_what_could_hold_a_script_is_offered_to_be_saved(client: Client, folder: Path, name: str) -> None:
    (folder / name).write_text("<script>alert(1)</script>")
    response = client.get(f"/media/{name}")
    assert response.headers["Content-Disposition"] == "attachment"
    assert "default-src 'none'" in response.headers["Content-Security-Policy"]
    response.close()


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["../secret.png", "%2e%2e/secret.png", "/etc/passwd", "", "missing.png", "x" * 5_000])
def test_nothing_else_of_the_disk_is_served(client: Client, path: str) -> None:
    assert client.get(f"/media/{path}").status_code == 404
