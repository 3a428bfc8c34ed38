"""Only images that can be decoded to the end, of known formats and bounded size."""

from io import BytesIO

import pytest
from PIL import Image

from blog import limits
from blog.errors import InvalidError
from blog.images import check_image
from tests.blog.conftest import picture


@pytest.mark.parametrize(("kind", "suffix"), limits.IMAGE_SUFFIXES.items())
def test_each_known_format_is_accepted(kind: str, suffix: str) -> None:
    image = check_image(picture(kind))
    assert (image.width, image.height, image.suffix) == (40, 20, suffix)
    assert len(image.checksum_sha256) == 64


def test_a_photo_that_is_turned_has_the_size_that_browsers_show() -> None:
    file, exif = BytesIO(), Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (40, 20)).save(file, "JPEG", exif=exif)
    image = check_image(file.getvalue())
    assert (image.width, image.height) == (20, 40)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "none of PNG"),
        (b"GIF89a", "none of PNG"),
        (b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>", "none of PNG"),
        (picture("BMP"), "none of PNG"),
        (picture("PNG", (400, 400))[:-60], "broken"),
        (b"\x89PNG\r\n\x1a\n" + b"\x00" * 100, "none of PNG|broken"),
    ],
)
def test_what_is_no_whole_image_is_refused(data: bytes, message: str) -> None:
    with pytest.raises(InvalidError, match=message) as caught:
        check_image(data)
    assert set(caught.value.messages) == {"image"}


def test_pixels_are_counted_before_they_are_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "IMAGE_PIXELS", 799)
    with pytest.raises(InvalidError, match="800 pixels; at most 799"):
        check_image(picture(size=(40, 20)))


def test_bytes_are_counted_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "IMAGE_BYTES", 10)
    with pytest.raises(InvalidError, match="at most 10"):
        check_image(picture())
