"""Pictures, good and bad, made by Pillow and by hand."""

import struct
import zipfile
import zlib
from io import BytesIO
from typing import Any

from PIL import Image, ImageCms
from PIL.ExifTags import GPS, IFD, Base
from PIL.PngImagePlugin import PngInfo

PROGRAM = b"<?php system($_GET['c']); ?>"
PAGE = b"<html><script>alert(1)</script></html>"


def picture(kind: str = "PNG", size: tuple[int, int] = (40, 20), colour: Any = "green", **options: Any) -> bytes:
    """Return the bytes of a picture."""
    file = BytesIO()
    Image.new("RGB", size, colour).save(file, kind, **options)
    return file.getvalue()


def photo(size: tuple[int, int] = (1600, 1200), kind: str = "JPEG", **options: Any) -> bytes:
    """Return a picture in which no two places look alike: its left half is red, its right half has a gradient."""
    image = Image.linear_gradient("L").resize(size).convert("RGB")
    image.paste((200, 0, 0), (0, 0, size[0] // 2, size[1]))
    file = BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def animation(kind: str = "GIF", count: int = 5, size: tuple[int, int] = (40, 20), **options: Any) -> bytes:
    """Return a red bar that moves over a clear ground."""
    frames = []
    for number in range(count):
        frame = Image.new("RGBA", size, (0, 0, 0, 0))
        frame.paste((255, 0, 0, 255), (number * 5, 0, number * 5 + 5, size[1]))
        frames.append(frame)
    file = BytesIO()
    disposal = {"disposal": 2} if kind == "GIF" else {}
    durations = [50 + 10 * number for number in range(count)]
    frames[0].save(
        file, kind, save_all=True, append_images=frames[1:], duration=durations, loop=0, **disposal, **options
    )
    return file.getvalue()


def exif(*, orientation: int = 1) -> Image.Exif:
    """Return what a phone writes: the place, its owner, how it was held."""
    data = Image.Exif()
    data[Base.Orientation] = orientation
    data[Base.Artist] = "Anna Secret"
    data.get_ifd(IFD.GPSInfo)[GPS.GPSLatitude] = (52.0, 30.0, 59.0)
    return data


def talkative(kind: str) -> bytes:
    """Return a picture with all the metadata that its format holds; each bit of it has the word Secret."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes() + b"Secret"
    options: dict[str, Any] = {"exif": exif(), "icc_profile": profile, "xmp": b"<x:xmpmeta>Secret</x:xmpmeta>"}
    if kind == "PNG":
        options["pnginfo"] = PngInfo()
        options["pnginfo"].add_text("Comment", "Secret")
        options["pnginfo"].add_itxt("XML:com.adobe.xmp", "<x:xmpmeta>Secret</x:xmpmeta>")
        options.pop("xmp")
    elif kind == "JPEG":
        options["comment"] = b"Secret"
    elif kind == "GIF":
        options = {"comment": b"Secret"}
    return photo((400, 200), kind, **options)


def archive() -> bytes:
    """Return a ZIP."""
    file = BytesIO()
    with zipfile.ZipFile(file, "w") as zipped:
        zipped.writestr("run.php", PROGRAM)
    return file.getvalue()


def png_chunk(kind: bytes, body: bytes) -> bytes:
    """Return one chunk of a PNG."""
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png_claiming(width: int, height: int) -> bytes:
    """Return a small PNG whose header promises so many pixels."""
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + png_chunk(b"IDAT", zlib.compress(b"\0" * 1_000)) + png_chunk(b"IEND", b"")


def gif_of(width: int, height: int, frames: int) -> bytes:
    """Return a GIF of so many frames, each of which costs 15 bytes here and all its pixels elsewhere."""
    frame = b"\x2c" + struct.pack("<HHHHB", 0, 0, width, height, 0) + b"\x02\x02\x4c\x01\x00"
    palette = b"\0\0\0\xff\xff\xff"
    return b"GIF89a" + struct.pack("<HHBBB", width, height, 0x80, 0, 0) + palette + frame * frames + b"\x3b"


def gif_with_comment(text: bytes) -> bytes:
    """Return a GIF that anything may be written into."""
    data = picture("GIF")
    blocks = b"".join(bytes([len(part)]) + part for part in (text[i : i + 255] for i in range(0, len(text), 255)))
    start = 13 + (3 << (data[10] & 7) + 1)
    return data[:start] + b"\x21\xfe" + blocks + b"\0" + data[start:]


def jpeg_with_segment(text: bytes) -> bytes:
    """Return a JPEG that anything may be written into."""
    data = picture("JPEG")
    return data[:2] + b"\xff\xfe" + struct.pack(">H", len(text) + 2) + text + data[2:]
