"""What a file says of itself, read byte by byte before any decoder sees it: format, size, frames, and where it ends.

Decoders stop at the end of the image, and are content. What follows there may be an archive or a web page, and a
header of a few bytes may promise more pixels than any memory holds; so both are read here, at no cost.
"""

import re
import struct
from collections.abc import Callable
from dataclasses import dataclass, field

_PNG = b"\x89PNG\r\n\x1a\n"
_PNG_PIXELS = {b"IDAT", b"fdAT", b"PLTE", b"tRNS"}
_WEBP_PIXELS = {b"VP8 ", b"VP8L", b"ALPH", b"ANMF"}
_JPEG_SIZES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_JPEG_BARE = frozenset({0x01, *range(0xD0, 0xD8)})  # markers without a length
_JPEG_START, _JPEG_END, _JPEG_SCAN = 0xD8, 0xD9, 0xDA
# Within a scan, FF is a marker unless 00 or a restart follows it.
_MARKER_IN_SCAN = re.compile(rb"\xff+[^\x00\xd0-\xd7\xff]")


class BrokenStructureError(ValueError):
    """The file ends before the image does, or isn't what its first bytes say."""


@dataclass(slots=True)
class Structure:
    """A file's outline. `width` and `height` are those of the largest frame, as stored."""

    format: str
    width: int = 0
    height: int = 0
    frames: int = 1
    end: int = 0
    # Where the format lets people write what they like: comments, metadata, profiles.
    notes: list[bytes] = field(default_factory=list)

    def grow(self, width: int, height: int) -> None:
        """Take a frame's size into account."""
        self.width, self.height = max(self.width, width), max(self.height, height)

    @property
    def pixels(self) -> int:
        """How many pixels there are to unpack, of all frames together."""
        return self.width * self.height * self.frames


def read_structure(data: bytes) -> Structure | None:
    """Return the outline of an image; None where it's of no format known here.

    Raises:
        BrokenStructureError: it's of a known format, and not whole.
    """
    for is_format, read in _READERS:
        if is_format(data):
            try:
                return read(data)
            except (IndexError, struct.error) as error:
                raise BrokenStructureError("it ends too early") from error
    return None


def _read_png(data: bytes) -> Structure:
    found = Structure("PNG")
    position = len(_PNG)
    while True:
        length, kind = struct.unpack_from(">I4s", data, position)
        body = data[position + 8 : position + 8 + length]
        position += length + 12
        if position > len(data):
            raise BrokenStructureError("it ends too early")
        if kind == b"IHDR":
            found.grow(*struct.unpack_from(">II", body))
        elif kind == b"acTL":  # animated
            found.frames = max(found.frames, struct.unpack_from(">I", body)[0])
        elif kind == b"IEND":
            found.end = position
            return found
        elif kind not in _PNG_PIXELS:
            found.notes.append(body)


def _read_jpeg(data: bytes) -> Structure:
    found = Structure("JPEG")
    position = 2
    while True:
        if data[position] != 0xFF:
            raise BrokenStructureError("there is something else where a part of it should begin")
        while data[position] == 0xFF:
            position += 1
        marker = data[position]
        position += 1
        if marker == _JPEG_END:
            found.end = position
            return found
        if marker in _JPEG_BARE or marker == _JPEG_START:
            continue
        (length,) = struct.unpack_from(">H", data, position)
        body = data[position + 2 : position + length]
        position += length
        if marker in _JPEG_SIZES:
            height, width = struct.unpack_from(">HH", body, 1)
            found.grow(width, height)
        elif marker >= 0xE0:
            found.notes.append(body)
        elif marker == _JPEG_SCAN:
            following = _MARKER_IN_SCAN.search(data, position)
            if following is None:
                raise BrokenStructureError("it ends too early")
            position = following.start()


def _read_gif(data: bytes) -> Structure:
    found = Structure("GIF", frames=0)
    width, height, flags = struct.unpack_from("<HHB", data, 6)
    found.grow(width, height)
    position = 13 + _colours(flags)
    while True:
        kind = data[position]
        position += 1
        if kind == 0x3B:
            found.end = position
            found.frames = max(1, found.frames)
            return found
        if kind == 0x2C:
            left, top, width, height, flags = struct.unpack_from("<HHHHB", data, position)
            found.grow(left + width, top + height)
            found.frames += 1
            position, _ = _blocks(data, position + 10 + _colours(flags))
        elif kind == 0x21:
            position, note = _blocks(data, position + 1)
            found.notes.append(note)
        else:
            raise BrokenStructureError("there is something else where a part of it should begin")


def _colours(flags: int) -> int:
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


def _blocks(data: bytes, position: int) -> tuple[int, bytes]:
    """Return where a run of GIF's blocks ends, and what it holds."""
    parts = []
    while length := data[position]:
        parts.append(data[position + 1 : position + 1 + length])
        position += length + 1
    return position + 1, b"".join(parts)


def _read_webp(data: bytes) -> Structure:
    found = Structure("WEBP", frames=0)
    (length,) = struct.unpack_from("<I", data, 4)
    found.end = 8 + length + (length & 1)
    if len(data) < 8 + length:
        raise BrokenStructureError("it ends too early")
    position = 12
    while position + 8 <= 8 + length:
        kind, size = struct.unpack_from("<4sI", data, position)
        body = data[position + 8 : position + 8 + size]
        if kind == b"VP8X":
            found.grow(1 + int.from_bytes(body[4:7], "little"), 1 + int.from_bytes(body[7:10], "little"))
        elif kind == b"VP8 ":
            width, height = struct.unpack_from("<HH", body, 6)
            found.grow(width & 0x3FFF, height & 0x3FFF)
        elif kind == b"VP8L":
            (bits,) = struct.unpack_from("<I", body, 1)
            found.grow(1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF))
        elif kind == b"ANMF":
            found.frames += 1
        if kind not in _WEBP_PIXELS:
            found.notes.append(body)
        position += 8 + size + (size & 1)
    found.frames = max(1, found.frames)
    return found


_READERS: tuple[tuple[Callable[[bytes], bool], Callable[[bytes], Structure]], ...] = (
    (lambda data: data.startswith(_PNG), _read_png),
    (lambda data: data.startswith(b"\xff\xd8\xff"), _read_jpeg),
    (lambda data: data[:6] in (b"GIF87a", b"GIF89a"), _read_gif),
    (lambda data: data[:4] == b"RIFF" and data[8:12] == b"WEBP", _read_webp),
)
