"""Is it a picture, and may it be shown? Asked of every file before it's stored, and again before it's worked on."""

import hashlib
import re
from dataclasses import dataclass
from io import BytesIO
from pathlib import PurePath

from PIL import Image, ImageSequence, UnidentifiedImageError

from images import limits
from images.errors import Reason, RefusedError
from images.structure import BrokenStructureError, Structure, read_structure

_ORIENTATION = 0x0112
_TURNED = {5, 6, 7, 8}
_KNOWN = ", ".join(limits.IMAGE_SUFFIXES)
_SVG = re.compile(rb"<svg[\s>]|<!doctype\s+svg", re.IGNORECASE)
# Long enough not to come about by chance in metadata.
_PROGRAM = re.compile(rb"<script|<\?php|<!doctype|<html|<iframe|<svg[\s>]|javascript:|%PDF-", re.IGNORECASE)
# Programs look for an archive from the file's end.
_ARCHIVE, _ARCHIVE_REACH = b"PK\x05\x06", 66_000
_APPENDED_JPEGS = 4
_PADDING = b"\0\r\n "
# What Pillow raises for files that are broken or made to break it.
_DECODER_ERRORS = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    Image.DecompressionBombError,
    Image.DecompressionBombWarning,
)


@dataclass(frozen=True, slots=True)
class CheckedImage:
    """An image that was decoded once to the end: its bytes, its size as browsers show it, its right suffix."""

    data: bytes
    format: str
    width: int
    height: int
    frames: int
    suffix: str
    checksum_sha256: str


def checksum_of(data: bytes) -> str:
    """Return what tells an image's bytes from others."""
    return hashlib.sha256(data).hexdigest()


def check_upload(data: bytes, name: str) -> Structure:
    """Return the outline of an uploaded file, from its bytes alone: nothing is decoded, so that this is quick.

    Raises:
        RefusedError: it's too large, of another format, named wrongly, cut off, or something else besides.
    """
    _check_size(data)
    try:
        found = read_structure(data)
    except BrokenStructureError as error:
        raise _broken(error) from error
    if found is None:
        raise _unknown(data)
    _check_name(name, found.format)
    _check_dimensions(found)
    _check_nothing_else(data, found)
    return found


def check_image(data: bytes) -> CheckedImage:
    """Return `data` as an image to store, decoded to the end of its last frame.

    Raises:
        RefusedError: it's too large, of another format, or broken.
    """
    _check_size(data)
    try:
        with Image.open(BytesIO(data), formats=list(limits.IMAGE_SUFFIXES)) as image:
            kind = str(image.format)
            width, height = image.size
            frames = getattr(image, "n_frames", 1)
            _check_dimensions(Structure(kind, width, height, frames))  # asked before it's unpacked
            for frame in ImageSequence.Iterator(image):
                frame.load()
            image.seek(0)
            if image.getexif().get(_ORIENTATION) in _TURNED:
                width, height = height, width
    except UnidentifiedImageError as error:
        raise _unknown(data) from error
    except _DECODER_ERRORS as error:
        raise _broken(error) from error
    return CheckedImage(data, kind, width, height, frames, limits.IMAGE_SUFFIXES[kind], checksum_of(data))


def check_alike(outline: Structure, checked: CheckedImage) -> None:
    """Compare what the file's bytes say with what the decoder made of them.

    Raises:
        RefusedError: they differ, as in files that are made to be taken for two things.
    """
    sides = sorted((outline.width, outline.height)), sorted((checked.width, checked.height))
    if outline.format != checked.format or sides[0] != sides[1]:
        raise _broken("its parts contradict each other")


def _check_size(data: bytes) -> None:
    if len(data) > limits.IMAGE_BYTES:
        raise RefusedError(
            f"it has {len(data):,} bytes; at most {limits.IMAGE_BYTES:,} are accepted: save it smaller",
            reason=Reason.SIZE,
        )


def _check_name(name: str, kind: str) -> None:
    suffix = PurePath(name).suffix.lower()
    if limits.SUFFIX_FORMATS.get(suffix) != kind:
        said = f"its name ends in “{suffix}”" if suffix else "its name has no ending"
        right = f"{PurePath(name).stem}{limits.IMAGE_SUFFIXES[kind]}"
        raise RefusedError(f"{said}, but it's a {kind}: call it {right}", reason=Reason.NAME)


def _check_dimensions(found: Structure) -> None:
    if not found.width or not found.height:
        raise _broken("it has no pixels")
    if found.frames > limits.IMAGE_FRAMES:
        raise RefusedError(
            f"it has {found.frames:,} frames; at most {limits.IMAGE_FRAMES:,} are accepted: shorten it",
            reason=Reason.BOMB,
        )
    if found.pixels > limits.IMAGE_PIXELS:
        frames = f" in {found.frames:,} frames" if found.frames > 1 else ""
        raise RefusedError(
            f"it has {found.pixels:,} pixels{frames}; at most {limits.IMAGE_PIXELS:,} are accepted: scale it down",
            reason=Reason.BOMB,
        )
    if max(found.width, found.height) > limits.IMAGE_SIDE:
        raise RefusedError(
            f"it's {found.width:,} by {found.height:,} pixels; at most {limits.IMAGE_SIDE:,} are accepted on a side:"
            " scale it down",
            reason=Reason.BOMB,
        )


def _check_nothing_else(data: bytes, found: Structure) -> None:
    rest = data[found.end :]
    if rest.strip(_PADDING) and not (found.format == "JPEG" and _is_of_a_phone(rest)):
        raise RefusedError(
            f"after the image's end there are {len(rest):,} bytes of something else; save it anew with a picture"
            " editor",
            reason=Reason.POLYGLOT,
        )
    if any(_PROGRAM.search(note) or _ARCHIVE in note for note in found.notes):
        raise RefusedError(
            "its metadata holds a program, a web page or an archive; save it anew, without metadata",
            reason=Reason.POLYGLOT,
        )


def _is_of_a_phone(rest: bytes) -> bool:
    """Whether this is what cameras append to a JPEG: further JPEGs, a film of the moment, Samsung's own trailer.

    None of it gets further than here: the image is encoded anew.
    """
    if _ARCHIVE in rest[-_ARCHIVE_REACH:] or _PROGRAM.search(rest):
        return False
    for _ in range(_APPENDED_JPEGS):
        try:
            second = read_structure(rest)
        except BrokenStructureError:
            return False
        if second is None or second.format != "JPEG":
            break
        rest = rest[second.end :].lstrip(_PADDING)
    return not rest or rest[4:8] == b"ftyp" or (rest.rstrip(_PADDING).endswith(b"SEFT") and b"SEFH" in rest)


def _unknown(data: bytes) -> RefusedError:
    if _SVG.search(data[:4_096]):
        message = "it's an SVG, which can hold a program; convert it to PNG"
    elif not data:
        message = "it's empty; choose another"
    else:
        message = f"it's none of {_KNOWN}; convert it"
    return RefusedError(message, reason=Reason.FORMAT)


def _broken(why: object) -> RefusedError:
    return RefusedError(f"it's broken ({why}); save it anew", reason=Reason.BROKEN)
