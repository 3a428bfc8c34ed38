"""Pictures encoded anew: upright, in the colours of screens, and with nothing in them but pixels."""

from contextlib import suppress
from dataclasses import dataclass
from io import BytesIO
from typing import Any

from PIL import Image, ImageCms, ImageOps, ImageSequence

_ORIENTATION = 0x0112
_THUMBNAIL = {"format": "WEBP", "quality": 80, "method": 4}
_STILL: dict[str, dict[str, Any]] = {
    "PNG": {"optimize": True},
    "JPEG": {"quality": 85, "optimize": True, "progressive": True},
    "WEBP": {"quality": 82, "method": 4},
    "GIF": {"optimize": True},
}
_SAME_QUALITY = {"quality": "keep", "optimize": True, "progressive": True}
_ALPHA = ("LA", "PA", "La", "RGBA", "RGBa")


@dataclass(frozen=True, slots=True)
class Rendered:
    """A file to store, and its size as browsers show it."""

    data: bytes
    width: int
    height: int


def thumbnail(data: bytes, width: int) -> Rendered:
    """Return a WebP of the picture's first frame, `width` pixels wide or as wide as the picture, if that's less."""
    with Image.open(BytesIO(data)) as image:
        image.draft("RGB", (width, width))  # a JPEG is read at half, a quarter or an eighth of its size
        picture = _in_screen_colours(_upright(image))
    picture = _for_webp(picture)
    if picture.width > width:
        height = max(1, round(picture.height * width / picture.width))
        picture = picture.resize((width, height), Image.Resampling.LANCZOS, reducing_gap=3.0)
    return Rendered(_saved(picture, **_THUMBNAIL), *picture.size)


def optimised(data: bytes) -> Rendered:
    """Return the picture in its format, all frames of it, without metadata."""
    with Image.open(BytesIO(data)) as image:
        kind = str(image.format)
        if getattr(image, "n_frames", 1) > 1:
            return _animation(image, kind, data)
        picture = _in_screen_colours(_upright(image))
        if kind == "JPEG" and picture.mode not in ("L", "RGB"):
            picture = picture.convert("RGB")
        result = _saved(picture, format=kind, **_options(kind, data))
        if kind == "JPEG" and len(result) >= len(data) and _is_as_stored(image, picture):
            result = min(result, _saved(image, format=kind, **_SAME_QUALITY), key=len)
        return Rendered(result, *picture.size)


def _animation(image: Image.Image, kind: str, data: bytes) -> Rendered:
    frames, durations = [], []
    for frame in ImageSequence.Iterator(image):
        frame.load()  # WebP tells how long it's shown only then
        durations.append(frame.info.get("duration", 0))
        frames.append(_upright(frame).convert("RGBA"))
    is_opaque = all(_is_opaque(frame) for frame in frames)
    if is_opaque:
        frames = [frame.convert("RGB") for frame in frames]
    options: dict[str, Any] = {"save_all": True, "append_images": frames[1:], "duration": durations}
    if "loop" in image.info:
        options["loop"] = image.info["loop"]
    if kind == "GIF" and not is_opaque:
        options["disposal"] = 2  # or what one frame shows stays under the clear parts of the next
    result = _saved(frames[0], format=kind, **_options(kind, data), **options)
    return Rendered(result, *frames[0].size)


def _options(kind: str, data: bytes) -> dict[str, Any]:
    if kind == "WEBP" and b"VP8L" in data:
        return {"lossless": True, "quality": 20, "method": 0}  # more effort gains little, and takes five times as long
    return _STILL[kind]


def _upright(image: Image.Image) -> Image.Image:
    """Return a copy as people are to see it; cameras store pictures lying down, with a note of it."""
    return ImageOps.exif_transpose(image)


def _in_screen_colours(image: Image.Image) -> Image.Image:
    """Return the picture in sRGB, which is what it's taken for once its profile is gone."""
    profile = image.info.get("icc_profile")
    if profile and image.mode in ("RGB", "RGBA", "CMYK"):
        mode = "RGBA" if image.mode == "RGBA" else "RGB"
        with suppress(ImageCms.PyCMSError, OSError, ValueError):  # a profile that makes no sense says nothing
            source = ImageCms.ImageCmsProfile(BytesIO(profile))
            screen = ImageCms.createProfile("sRGB")
            converted = ImageCms.profileToProfile(image, source, screen, outputMode=mode)
            return image if converted is None else converted
    return image


def _for_webp(image: Image.Image) -> Image.Image:
    if image.mode.startswith(("I", "F")):  # 16 bits a pixel, which Pillow would cut off instead of scaling
        return image.point(lambda value: value * (1 / 256)).convert("L").convert("RGB")
    has_alpha = image.mode in _ALPHA or "transparency" in image.info
    return image.convert("RGBA" if has_alpha else "RGB")


def _is_opaque(frame: Image.Image) -> bool:
    lowest, _ = frame.getchannel("A").getextrema()
    return lowest == 255


def _is_as_stored(image: Image.Image, picture: Image.Image) -> bool:
    return picture.mode == image.mode and not image.getexif().get(_ORIENTATION) and "icc_profile" not in image.info


def _saved(image: Image.Image, **options: Any) -> bytes:
    """Return an image's file; what Pillow knows of its old one stays behind, but for the clear colour."""
    image.info = {key: value for key, value in image.info.items() if key == "transparency"}
    file = BytesIO()
    image.save(file, **options)
    return file.getvalue()
