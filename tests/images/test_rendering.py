"""Pictures are encoded anew: upright, in the colours of screens, with nothing in them but pixels."""

from io import BytesIO
from typing import Any

import pytest
from PIL import Image, ImageChops, ImageCms, ImageSequence

from images.pipeline.rendering import optimised, thumbnail
from images.structure import read_structure
from tests.images import pictures

KINDS = ["PNG", "JPEG", "WEBP", "GIF"]


def opened(data: bytes) -> Image.Image:
    return Image.open(BytesIO(data))


def frames_of(data: bytes) -> list[tuple[bytes, Any]]:
    found = []
    for frame in ImageSequence.Iterator(opened(data)):
        frame.load()  # WebP tells how long it's shown only then
        found.append((frame.convert("RGBA").tobytes(), frame.info.get("duration")))
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_metadata_is_gone(kind: str) -> None:
    data = pictures.talkative(kind)
    assert b"Secret" in data or kind == "PNG"
    for made in (optimised(data), thumbnail(data, 320)):
        assert b"Secret" not in made.data
        image = opened(made.data)
        image.load()
        assert dict(image.getexif()) == {}
        assert not {"icc_profile", "exif", "comment", "xmp", "Comment", "XML:com.adobe.xmp"} & set(image.info)
        outline = read_structure(made.data)
        assert outline is not None
        assert outline.end == len(made.data)


@pytest.mark.parametrize("kind", KINDS)
def test_the_format_and_the_pixels_stay(kind: str) -> None:
    data = pictures.photo((400, 300), kind)
    made = optimised(data)
    assert (opened(made.data).format, made.width, made.height) == (kind, 400, 300)
    difference = ImageChops.difference(opened(data).convert("RGB"), opened(made.data).convert("RGB"))
    assert max(high for _, high in difference.getextrema()) < (1 if kind in ("PNG", "GIF") else 60)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_pictures_stand_upright(orientation: int) -> None:
    data = pictures.photo((400, 300), exif=pictures.exif(orientation=orientation))
    is_lying = orientation > 4
    for made, width in ((optimised(data), 300 if is_lying else 400), (thumbnail(data, 200), 200)):
        image = opened(made.data).convert("RGB")
        assert image.size == (made.width, made.height)
        assert made.width == width
        assert (made.height > made.width) is is_lying
        # The red half is where the camera says that it is.
        middles = {"left": (5, made.height // 2), "right": (-5, made.height // 2), "top": (made.width // 2, 5)}
        middles["bottom"] = (made.width // 2, -5)
        red_side = {1: "left", 2: "right", 3: "right", 4: "left", 5: "top", 6: "top", 7: "bottom", 8: "bottom"}
        x, y = middles[red_side[orientation]]
        red, green, blue = image.getpixel((x % made.width, y % made.height))  # type: ignore[misc]
        assert (red > 150, green < 60, blue < 60) == (True, True, True)


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG"])
def test_an_animation_keeps_its_frames_and_its_times(kind: str) -> None:
    data = pictures.animation(kind, **({"lossless": True} if kind == "WEBP" else {}))
    made = optimised(data)
    assert frames_of(made.data) == frames_of(data)
    assert [duration for _, duration in frames_of(made.data)] == [50, 60, 70, 80, 90]
    assert opened(made.data).info["loop"] == 0
    still = opened(thumbnail(data, 320).data)
    assert getattr(still, "n_frames", 1) == 1


def test_an_animation_without_clear_parts_keeps_its_frames() -> None:
    frames = [Image.new("RGB", (30, 30), colour) for colour in ("red", "green", "blue")]
    frames[1].paste("yellow", (5, 5, 10, 10))
    file = BytesIO()
    frames[0].save(file, "GIF", save_all=True, append_images=frames[1:], duration=100)
    made = optimised(file.getvalue())
    assert frames_of(made.data) == frames_of(file.getvalue())
    assert "loop" not in opened(made.data).info  # once it was to be played, once it is


@pytest.mark.parametrize(("size", "width", "expected"), [((1600, 1200), 640, (640, 480)), ((100, 50), 640, (100, 50))])
def test_a_thumbnail_is_never_larger_than_the_picture(
    size: tuple[int, int], width: int, expected: tuple[int, int]
) -> None:
    made = thumbnail(pictures.photo(size), width)
    image = opened(made.data)
    assert (image.format, image.size, (made.width, made.height)) == ("WEBP", expected, expected)


def test_a_needle_has_a_thumbnail() -> None:
    made = thumbnail(pictures.picture("PNG", (16_000, 1)), 320)
    assert (made.width, made.height) == (320, 1)
    assert thumbnail(pictures.picture("PNG", (1, 16_000)), 320).height == 16_000


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
def test_each_mode_of_a_png_looks_as_it_did(mode: str) -> None:
    level = 40_000 if mode == "I;16" else 0
    image = Image.new(mode, (40, 20), level) if level else Image.new("RGB", (40, 20), "white").convert(mode)
    file = BytesIO()
    image.save(file, "PNG")
    assert opened(optimised(file.getvalue()).data).mode == mode
    shown = opened(thumbnail(file.getvalue(), 320).data).convert("L").getpixel((20, 10))
    assert abs(int(shown) - (156 if level else 255)) <= 2  # type: ignore[arg-type]


@pytest.mark.parametrize("mode", ["P", "L", "RGB"])
def test_clear_parts_stay_clear(mode: str) -> None:
    image = Image.new(mode, (40, 20), 0 if mode != "RGB" else (0, 0, 0))
    file = BytesIO()
    image.save(file, "PNG", transparency=0 if mode != "RGB" else (0, 0, 0))
    for made in (optimised(file.getvalue()), thumbnail(file.getvalue(), 20)):
        assert opened(made.data).convert("RGBA").getpixel((5, 5))[3] == 0  # type: ignore[index]


def test_printers_colours_become_those_of_screens() -> None:
    file = BytesIO()
    Image.new("CMYK", (40, 20), (0, 255, 255, 0)).save(file, "JPEG")
    image = opened(optimised(file.getvalue()).data)
    assert (image.format, image.mode) == ("JPEG", "RGB")
    red, green, blue = image.getpixel((5, 5))  # type: ignore[misc]
    assert red > 200 > 60 > max(green, blue)


def test_a_profile_is_used_before_it_goes() -> None:
    """Red and blue trade places in this one, so that nobody can overlook it."""
    screen = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    screen = screen.replace(b"rXYZ", b"?XYZ", 1).replace(b"bXYZ", b"rXYZ", 1).replace(b"?XYZ", b"bXYZ", 1)
    data = pictures.picture("PNG", colour=(255, 0, 0), icc_profile=bytes(screen))
    red, _, blue = opened(optimised(data).data).getpixel((5, 5))  # type: ignore[misc]
    assert blue > 200 > 60 > red
    nonsense = pictures.picture("PNG", colour=(255, 0, 0), icc_profile=b"no profile")
    assert opened(optimised(nonsense).data).getpixel((5, 5)) == (255, 0, 0)


def test_a_small_jpeg_does_not_grow() -> None:
    data = pictures.photo((800, 600), quality=20)
    assert len(optimised(data).data) <= len(data)
