"""Is it an image, and may it be shown? Asked of every file before it's stored."""

import hashlib
from dataclasses import dataclass
from io import BytesIO

from PIL import Image, UnidentifiedImageError

from blog import limits
from blog.errors import InvalidError

_ORIENTATION = 0x0112
_TURNED = {5, 6, 7, 8}


@dataclass(frozen=True, slots=True)
class CheckedImage:
    """An image that was decoded once to the end: its bytes, its size as browsers show it, its right suffix."""

    data: bytes
    width: int
    height: int
    suffix: str
    checksum_sha256: str


def checksum_of(data: bytes) -> str:
    """Return what tells an image's bytes from others."""
    return hashlib.sha256(data).hexdigest()


def check_image(data: bytes) -> CheckedImage:
    """Return `data` as an image to store.

    Raises:
        InvalidError: on the field `image`; it's too large, of another format, or broken.
    """
    if len(data) > limits.IMAGE_BYTES:
        raise InvalidError(image=f"it has {len(data):,} bytes; at most {limits.IMAGE_BYTES:,} are accepted")
    try:
        with Image.open(BytesIO(data), formats=list(limits.IMAGE_SUFFIXES)) as image:
            width, height = image.size
            if width * height > limits.IMAGE_PIXELS:  # asked before it's unpacked
                raise InvalidError(
                    image=f"it has {width * height:,} pixels; at most {limits.IMAGE_PIXELS:,} are accepted"
                )
            suffix = limits.IMAGE_SUFFIXES[str(image.format)]
            image.load()
            if image.getexif().get(_ORIENTATION) in _TURNED:
                width, height = height, width
    except UnidentifiedImageError as error:
        raise InvalidError(image=f"it's none of {', '.join(limits.IMAGE_SUFFIXES)}; convert it") from error
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise InvalidError(image=f"it's broken ({error}); save it anew") from error
    return CheckedImage(data, width, height, suffix, checksum_of(data))
