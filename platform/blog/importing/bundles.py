"""Folders of posts: which files are posts, and which images lie beside them."""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from blog.errors import ImportFileError, InvalidError
from blog.images import CheckedImage, check_image, checksum_of
from blog.importing.documents import Document
from blog.markdown import clean_html_of, image_names, may_have_images
from blog.sanitizing import picture_name
from images import limits

_SUFFIXES = {".md", ".markdown"}
# Pages of a section, not posts, as Zola and Hugo name them.
_SECTION_FILES = {"_index.md"}  # So much of one post's images is held in memory; what is more is read when it's stored.
_MOST_AHEAD_BYTES = 20_000_000


@dataclass(slots=True)
class Bundle:
    """A post's images: `found` by the name in its text, and a warning for each that isn't there.

    `html` is its text as `clean_html_of` gives it, and `checked` are images, where both were made ahead.
    """

    html: str = ""
    checked: dict[str, CheckedImage] = field(default_factory=dict)
    found: dict[str, Path] = field(default_factory=dict)
    wanted: set[str] = field(default_factory=set)
    warnings: list[str] = field(default_factory=list)


def markdown_files(root: Path) -> list[Path]:
    """Return all Markdown files below `root` in the order of their paths; hidden folders are left alone."""
    return sorted(_walk(root))


def _walk(root: Path) -> Iterator[Path]:
    for folder, folders, files in os.walk(root):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in files:
            path = Path(folder, name)
            if path.suffix.lower() in _SUFFIXES and name not in _SECTION_FILES and not name.startswith("."):
                yield path


def require_inside(path: Path, folder: Path, *, what: str) -> Path:
    """Return `path` with all links resolved.

    Raises:
        ImportFileError: it leads out of `folder`, by `..`, as an absolute path or through a symbolic link.
    """
    try:
        resolved = path.resolve()
    except (OSError, RuntimeError, ValueError) as error:
        raise ImportFileError(f"{what} can't be followed ({error})") from error
    if not resolved.is_relative_to(folder.resolve()):
        raise ImportFileError(f"{what} leads out of the folder; put a copy beside the post")
    return resolved


def bundle_of(document: Document, *, is_new: bool) -> Bundle:
    """Return the images beside `document` that its text shows; for a new post, ready to be stored with its text.

    Raises:
        ImportFileError: an image lies outside the post's folder; of a new post, one isn't acceptable.
        InvalidError: the text can't be rendered.
    """
    if not is_new and not may_have_images(document.body):
        return Bundle()
    bundle = _named_images(document, clean_html_of(document.body))
    ahead_bytes = 0
    for name, path in bundle.found.items() if is_new else ():
        if ahead_bytes < _MOST_AHEAD_BYTES and (image := read_image(name, path)):
            bundle.checked[name] = image
            ahead_bytes += len(image.data)
    return bundle


def _named_images(document: Document, html: str) -> Bundle:
    bundle = Bundle(html)
    for source in image_names(html):
        if source.startswith(("https://", "http://", "//", "data:")):
            if not source.startswith("https://"):
                bundle.warnings.append(f"image {source[:80]} isn't shown: only https and images beside the post are")
            continue
        name = picture_name(source)
        if source.startswith("/"):
            bundle.warnings.append(
                f"image {name} isn't shown: it lies elsewhere on the old site; put a copy beside the post"
            )
            continue
        if len(name) > 255 or not name.isprintable():
            raise ImportFileError(f"image {name[:40]!r}… has no usable name; rename it")
        path = require_inside(document.folder / name, document.folder, what=f"image {name}")
        if Path(name).suffix.lower() == ".svg" and path.is_file():
            bundle.warnings.append(f"image {name} isn't shown: SVG can hold script; convert it to PNG")
            continue
        bundle.wanted.add(name)
        if path.is_file():
            bundle.found[name] = path
        else:
            bundle.warnings.append(f"image {name} is missing; put it beside the post and import again")
    return bundle


def read_image(name: str, path: Path, known_checksum: str = "") -> CheckedImage | None:
    """Return the image at `path`; None where it's the one whose checksum is known already.

    Raises:
        ImportFileError: it's no image that may be shown.
    """
    try:
        size = path.stat().st_size
        if size > limits.IMAGE_BYTES:
            raise ImportFileError(f"image {name}: it has {size:,} bytes; at most {limits.IMAGE_BYTES:,} are accepted")
        data = path.read_bytes()
    except OSError as error:
        raise ImportFileError(f"image {name} can't be read: {error.strerror}") from error
    if known_checksum and checksum_of(data) == known_checksum:
        return None
    try:
        return check_image(data)
    except InvalidError as error:
        raise ImportFileError(f"image {name}: {error.messages['image']}") from error
