"""One Markdown file with front matter, read and understood; nothing is written here."""

import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Any

import yaml

from blog import limits
from blog.errors import ImportFileError

_LARGEST_FILE_BYTES = limits.BODY_BYTES + 64_000
_LARGEST_FRONT_MATTER_CHARACTERS = 64_000
_DATE_IN_PATH = re.compile(r"(?:^|/)(\d{4})[/-](\d{2})[/-](\d{2})(?=$|[/-])")
_LONGEST_PATH = 500
# By libyaml, where PyYAML was built with it: ten times as fast.
_YamlLoader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_DEEPEST_YAML = 50


def _from_yaml(text: str) -> Any:
    depth = 0
    for event in yaml.parse(text, Loader=_YamlLoader):  # libyaml builds what is nested by recursion, without a bound
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > _DEEPEST_YAML:
            raise ValueError(f"it's nested more than {_DEEPEST_YAML} deep")
    return yaml.load(text, Loader=_YamlLoader)  # noqa: S506  # a safe one


_PARSERS: dict[str, tuple[str, Callable[[str], Any]]] = {
    "+++": ("TOML", tomllib.loads),
    "---": ("YAML", _from_yaml),
}


class NoFrontMatterError(ImportFileError):
    """It has no front matter, so it's no post."""


@dataclass(frozen=True, slots=True)
class Document:
    """A post as its source tells it. `identity` finds it again at the next import; `folder` holds its images."""

    file: Path
    folder: Path
    identity: str
    slug: str
    title: str
    authors: tuple[str, ...]
    description: str
    published_at: datetime | None
    body: str
    category: str = ""
    tags: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    # Of the authors, in their order, where the names don't tell them.
    usernames: tuple[str, ...] = ()
    # Whether it says itself by what it's known, as what was exported from here does.
    is_exported: bool = False

    @property
    def is_draft(self) -> bool:
        return self.published_at is None


def read_document(file: Path, root: Path, *, default_author: str = "") -> Document:
    """Return the post in `file`, which lies below `root`.

    Raises:
        NoFrontMatterError: it's a Markdown file of another kind.
        ImportFileError: it can't be imported; the message says why and how to mend it.
    """
    fields, body = _split(_text_of(file))
    relative = file.relative_to(root).with_suffix("")
    if relative.name == "index" and relative.parent.name:
        relative = relative.parent
    path = _text(fields, "path").strip("/") or relative.as_posix()
    identity = _text(fields, "identity")
    _require_storable(identity or path)
    title = _text(fields, "title")
    if not title:
        raise ImportFileError('it has no title; add title = "…" to the front matter')
    is_draft = fields.get("draft") is True
    published_at = None if is_draft else _date(fields, path, relative.as_posix())
    name = _DATE_IN_PATH.sub("", path.rpartition("/")[2]).strip("-/") or relative.name
    category, *further = _words(fields, "categories", "category") or [""]
    return Document(
        file=file,
        folder=file.parent,
        identity=identity or path,
        slug=_text(fields, "slug") or name,
        title=title,
        authors=_authors(fields, default_author),
        description=_text(fields, "description"),
        published_at=published_at,
        body=body,
        category=category,
        tags=(*_words(fields, "tags", "tag"), *further),
        aliases=_aliases(fields),
        usernames=_usernames(fields),
        is_exported=bool(identity),
    )


def _text_of(file: Path) -> str:
    try:
        size = file.stat().st_size
        if size > _LARGEST_FILE_BYTES:
            raise ImportFileError(f"it has {size:,} bytes; at most {_LARGEST_FILE_BYTES:,} are accepted; divide it")
        data = file.read_bytes()
    except OSError as error:
        raise ImportFileError(f"it can't be read: {error.strerror}") from error
    try:
        return data.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ImportFileError(
            f"it's not UTF-8 (line {line}, byte {error.start}); save it as UTF-8, "
            "or convert it: iconv -f WINDOWS-1252 -t UTF-8"
        ) from error


def _split(text: str) -> tuple[Mapping[str, Any], str]:
    """Return the fields of the front matter and what follows it."""
    fence = text.partition("\n")[0].rstrip()
    if fence not in _PARSERS or "\n" not in text:
        raise NoFrontMatterError("no front matter")
    kind, parse = _PARSERS[fence]
    front, found, body = f"\n{text.partition(chr(10))[2]}".partition(f"\n{fence}\n")
    if not found:
        if not text.rstrip().endswith(f"\n{fence}"):
            raise ImportFileError(f"its front matter isn't closed; end it with a line {fence}")
        front, body = text.rstrip()[len(fence) : -len(fence)].lstrip(" "), ""
    if len(front) > _LARGEST_FRONT_MATTER_CHARACTERS:
        raise ImportFileError(f"its front matter is longer than {_LARGEST_FRONT_MATTER_CHARACTERS:,} characters")
    try:
        fields = parse(front)
    except (tomllib.TOMLDecodeError, yaml.YAMLError, ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())
        raise ImportFileError(f"its {kind} front matter is broken ({reason}); mend that line") from error
    if not isinstance(fields, dict):
        raise ImportFileError(f"its {kind} front matter holds no names with values; write title: …")
    return fields, body


def _text(fields: Mapping[str, Any], name: str) -> str:
    value = fields.get(name)
    if value is None:
        return ""
    if isinstance(value, int | float) and not isinstance(value, bool):
        value = str(value)  # title: 2018
    if not isinstance(value, str):
        raise ImportFileError(f"its {name} is no text; put it in quotes")
    return " ".join(value.split())


def _authors(fields: Mapping[str, Any], default: str) -> tuple[str, ...]:
    value = fields.get("authors", fields.get("author"))
    if value is None:
        taxonomies = fields.get("taxonomies")
        value = taxonomies.get("authors") if isinstance(taxonomies, dict) else None
    names = [value] if isinstance(value, str) else value or [default]
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ImportFileError('its authors are no list of names; write authors = ["…"]')
    cleaned = tuple(dict.fromkeys(" ".join(name.split()) for name in names if name.strip()))
    if not cleaned:
        raise ImportFileError('it has no author; add authors = ["…"], or give --author NAME')
    return cleaned


def _usernames(fields: Mapping[str, Any]) -> tuple[str, ...]:
    value = fields.get("usernames") or []
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        raise ImportFileError('its usernames are no list; write usernames = ["…"], as many as authors')
    if value and len(value) != len(_authors(fields, "")):
        raise ImportFileError("it has another number of usernames than of authors; give one for each, or none")
    return tuple(value)


def _words(fields: Mapping[str, Any], *names: str) -> list[str]:
    """Return the names of a taxonomy, as Zola, Hugo and Jekyll write them."""
    taxonomies = fields.get("taxonomies")
    places = [fields, taxonomies] if isinstance(taxonomies, dict) else [fields]
    value: Any = next((place[name] for place in places for name in names if place.get(name)), [])
    words = value.split(",") if isinstance(value, str) else value
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        raise ImportFileError(f'its {names[0]} are no list of names; write {names[0]} = ["…"]')
    return list(dict.fromkeys(" ".join(word.split()) for word in words if word.strip()))


def _aliases(fields: Mapping[str, Any]) -> tuple[str, ...]:
    """Return where else the post was found on the site it came from: its aliases, and its own path."""
    value = fields.get("aliases") or []
    aliases = [value] if isinstance(value, str) else value
    if not isinstance(aliases, list) or not all(isinstance(alias, str) for alias in aliases):
        raise ImportFileError('its aliases are no list of paths; write aliases = ["2020/old.html"]')
    paths = [alias.strip("/") for alias in [*aliases, _text(fields, "path")]]
    for path in paths:
        if len(path) > limits.PATH_CHARACTERS or not path.isprintable() or path.startswith(("http:", "https:")):
            raise ImportFileError(f"its alias {path[:80]!r} is no path on this site; write 2020/old.html")
    return tuple(dict.fromkeys(path for path in paths if path))


def _date(fields: Mapping[str, Any], *paths: str) -> datetime:
    """Return when the post was published: its date, or the date in its path."""
    value = fields.get("date")
    try:
        if isinstance(value, str):
            value = datetime.fromisoformat(value)
        if isinstance(value, datetime):
            return value if value.tzinfo else value.replace(tzinfo=UTC)
        if isinstance(value, date):
            return datetime.combine(value, time(), UTC)
        if value is not None:
            raise ImportFileError("its date is none; write date = 2020-01-31")
        for path in paths:
            if match := _DATE_IN_PATH.search(path):
                year, month, day = (int(part) for part in match.groups())
                return datetime(year, month, day, tzinfo=UTC)
    except (ValueError, OverflowError) as error:
        raise ImportFileError(f"its date is none ({error}); write date = 2020-01-31") from error
    raise ImportFileError("it has no date, and its path holds none; add date = 2020-01-31, or draft = true")


def _require_storable(path: str) -> None:
    if len(path) > _LONGEST_PATH:
        raise ImportFileError(f"its path is longer than {_LONGEST_PATH} characters; shorten it")
    try:
        path.encode()
    except UnicodeEncodeError as error:
        raise ImportFileError("the name of the file is not UTF-8; rename it") from error
    if "\x00" in path:
        raise ImportFileError("its path holds a NUL character; remove it")
