"""What may be a picture: known formats, whole, of bounded size, under the right name, and nothing else besides."""

from io import BytesIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from images import limits
from images.checking import check_alike, check_image, check_upload
from images.errors import Reason, RefusedError
from images.structure import BrokenStructureError, read_structure
from tests.images import pictures
from tests.images.pictures import animation, picture

SVG = b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>"
NAMES = {"PNG": "a.png", "JPEG": "a.jpg", "WEBP": "a.webp", "GIF": "a.gif"}


@pytest.mark.parametrize(("kind", "suffix"), limits.IMAGE_SUFFIXES.items())
def test_each_known_format_is_accepted(kind: str, suffix: str) -> None:
    data = picture(kind)
    outline, image = check_upload(data, f"a{suffix.upper()}"), check_image(data)
    assert (outline.format, outline.width, outline.height, outline.frames) == (kind, 40, 20, 1)
    assert outline.end == len(data)
    assert (image.width, image.height, image.suffix, image.frames) == (40, 20, suffix, 1)
    assert len(image.checksum_sha256) == 64
    check_alike(outline, image)


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG"])
def test_frames_are_counted_without_a_decoder(kind: str) -> None:
    data = animation(kind)
    assert (check_upload(data, NAMES[kind]).frames, check_image(data).frames) == (5, 5)


@pytest.mark.parametrize("lossless", [True, False])
def test_both_kinds_of_webp_tell_their_size(lossless: bool) -> None:
    outline = check_upload(picture("WEBP", (123, 45), lossless=lossless), "a.webp")
    assert (outline.width, outline.height) == (123, 45)


def test_a_photo_that_is_turned_has_the_size_that_browsers_show() -> None:
    data = picture("JPEG", exif=pictures.exif(orientation=6))
    image = check_image(data)
    assert (image.width, image.height) == (20, 40)
    check_alike(check_upload(data, "a.jpg"), image)


def test_a_progressive_jpeg_has_many_scans_and_one_end() -> None:
    data = pictures.photo((300, 200), progressive=True, quality=95)
    assert check_upload(data, "a.jpeg").end == len(data)


REFUSED = {
    "nothing": (b"", "a.png", Reason.FORMAT, "empty; choose"),
    "text": (b"hello", "a.png", Reason.FORMAT, "none of PNG, JPEG, WEBP, GIF; convert"),
    "another format": (picture("BMP"), "a.bmp", Reason.FORMAT, "none of PNG"),
    "an SVG": (SVG, "a.svg", Reason.FORMAT, "SVG, which can hold a program; convert it to PNG"),
    "an SVG as a PNG": (b"\xef\xbb\xbf<?xml version='1.0'?>\n" + SVG, "a.png", Reason.FORMAT, "SVG"),
    "a wrong ending": (picture("JPEG"), "holiday.png", Reason.NAME, "it's a JPEG: call it holiday.jpg"),
    "an ending that runs": (picture("PNG"), "shell.png.php", Reason.NAME, "“.php”, but it's a PNG"),
    "no ending": (picture("PNG"), "photo", Reason.NAME, "no ending, but it's a PNG: call it photo.png"),
    "a bomb": (pictures.png_claiming(50_000, 50_000), "a.png", Reason.BOMB, "2,500,000,000 pixels; at most"),
    "a bomb that moves": (pictures.gif_of(2_000, 2_000, 900), "a.gif", Reason.BOMB, "3,600,000,000 pixels in 900 fr"),
    "many tiny frames": (pictures.gif_of(1, 1, 20_000), "a.gif", Reason.BOMB, "20,000 frames; at most 1,000"),
    "a needle": (pictures.png_claiming(20_000, 1), "a.png", Reason.BOMB, "20,000 by 1 pixels"),
    "no pixels": (pictures.png_claiming(0, 10), "a.png", Reason.BROKEN, "no pixels"),
    "a PNG cut off": (picture("PNG", (400, 400))[:-60], "a.png", Reason.BROKEN, "ends too early"),
    "a JPEG cut off": (pictures.photo((400, 300))[:-500], "a.jpg", Reason.BROKEN, "ends too early"),
    "a WebP cut off": (picture("WEBP", (400, 300))[:-10], "a.webp", Reason.BROKEN, "ends too early"),
    "a GIF cut off": (animation("GIF")[:-10], "a.gif", Reason.BROKEN, "ends too early"),
    "first bytes alone": (b"\x89PNG\r\n\x1a\n" + b"\0" * 100, "a.png", Reason.BROKEN, ""),
    "a GIF that is a page": (picture("GIF") + pictures.PAGE, "a.gif", Reason.POLYGLOT, "38 bytes of something else"),
    "a page in a comment": (pictures.gif_with_comment(pictures.PAGE), "a.gif", Reason.POLYGLOT, "metadata holds"),
    "a program behind": (picture("JPEG") + pictures.PROGRAM, "a.jpg", Reason.POLYGLOT, "something else; save it anew"),
    "a program within": (pictures.jpeg_with_segment(pictures.PROGRAM), "a.jpg", Reason.POLYGLOT, "metadata holds"),
    "an archive behind": (picture("JPEG") + pictures.archive(), "a.jpg", Reason.POLYGLOT, "something else"),
    "an archive within": (pictures.jpeg_with_segment(pictures.archive()), "a.jpg", Reason.POLYGLOT, "an archive"),
    "an archive behind a PNG": (picture("PNG") + pictures.archive(), "a.png", Reason.POLYGLOT, "something else"),
    "a program behind a WebP": (picture("WEBP") + pictures.PROGRAM, "a.webp", Reason.POLYGLOT, "something else"),
    "a program behind a second JPEG": (
        picture("JPEG") * 2 + pictures.PROGRAM,
        "a.jpg",
        Reason.POLYGLOT,
        "something else",
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_it_is_refused_and_told_why_from_its_bytes_alone(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    data, name, reason, message = REFUSED[what]
    monkeypatch.setattr(Image, "open", None)  # nothing is decoded
    with pytest.raises(RefusedError) as caught:
        check_upload(data, name)
    assert caught.value.reason is reason
    assert message in str(caught.value)


def test_bytes_are_counted_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "IMAGE_BYTES", 10)
    for check in (check_image, lambda data: check_upload(data, "a.png")):
        with pytest.raises(RefusedError, match="at most 10 are accepted: save it smaller"):
            check(picture())


def test_pixels_are_counted_before_they_are_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "IMAGE_PIXELS", 799)
    with pytest.raises(RefusedError, match="800 pixels; at most 799"):
        check_image(picture(size=(40, 20)))


def spoilt(data: bytes, at: float = 0.5) -> bytes:
    """Return `data` with its middle overwritten: whole on the outside."""
    middle = int(len(data) * at)
    return data[:middle] + b"\x55" * 40 + data[middle + 40 :]


@pytest.mark.parametrize("data", [b"GIF89a", b"\x89PNG\r\n\x1a\n" + b"\0" * 100, picture("BMP"), b"", SVG])
def test_what_no_decoder_opens_is_refused(data: bytes) -> None:
    with pytest.raises(RefusedError):
        check_image(data)


@pytest.mark.parametrize("data", [spoilt(pictures.photo((600, 400), "PNG")), pictures.png_claiming(400, 400)])
def test_what_only_a_decoder_finds_is_refused_by_it(data: bytes) -> None:
    with pytest.raises(RefusedError, match="it's broken") as caught:
        check_image(data)
    assert caught.value.reason is Reason.BROKEN


def test_the_last_frame_is_decoded_too() -> None:
    data = animation("PNG", size=(200, 200))
    with pytest.raises(RefusedError):
        check_image(spoilt(data, 0.8))


@pytest.mark.parametrize(
    "appended",
    [
        b"\0" * 100,
        picture("JPEG"),
        picture("JPEG") + b"\0\0" + picture("JPEG"),
        b"\0\0\0\x18ftypmp42" + bytes(range(256)),
        b"\0\0\x01\x0aImage_UTC_Data1SEFH\x6b\0\0\0SEFT",
    ],
    ids=["padding", "a preview", "two previews", "a film", "Samsung's trailer"],
)
def test_what_phones_append_to_a_photo_is_no_reason_to_refuse_it(appended: bytes) -> None:
    assert check_upload(picture("JPEG") + appended, "a.jpg").format == "JPEG"
    with pytest.raises(RefusedError, match="something else"):
        check_upload(picture("JPEG") + appended + pictures.archive(), "a.jpg")


def test_parts_that_contradict_each_other_are_refused() -> None:
    first = picture("PNG", (40, 20))
    outline = check_upload(first, "a.png")
    with pytest.raises(RefusedError, match="contradict"):
        check_alike(outline, check_image(picture("PNG", (41, 20))))


@settings(max_examples=300)
@given(
    kind=st.sampled_from(sorted(limits.IMAGE_SUFFIXES)),
    where=st.floats(0, 1, exclude_max=True),
    what=st.binary(min_size=1, max_size=12),
)
def test_no_damage_breaks_the_reader(kind: str, where: float, what: bytes) -> None:
    data = bytearray(_SAMPLES[kind])
    at = int(len(data) * where)
    data[at : at + len(what)] = what
    try:
        outline = read_structure(bytes(data))
    except BrokenStructureError:
        return
    assert outline is None or 0 < outline.end <= len(data) + 1


_SAMPLES = {
    "PNG": animation("PNG"),
    "GIF": animation("GIF"),
    "WEBP": animation("WEBP"),
    "JPEG": pictures.talkative("JPEG"),
}


def test_a_turned_photo_is_a_whole_one() -> None:
    file = BytesIO(picture("JPEG", exif=pictures.exif(orientation=8)))
    assert check_upload(file.getvalue(), "a.jfif").frames == 1
