"""The project's own line of code or template that a statement comes from."""

import sys
import sysconfig
from functools import lru_cache
from pathlib import Path
from types import FrameType
from typing import Any

from django.template.base import Node

_OURS = Path(__file__).resolve().parents[1]
_LIBRARIES = tuple({sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")})
_RENDER = Node.render_annotated.__code__
_DEEPEST = 150


def call_site() -> str:
    """Return `file:line` of the innermost frame that is no library's, or of a template's tag; empty for none."""
    frame: FrameType | None = sys._getframe(2)
    for _ in range(_DEEPEST):
        if frame is None:
            return ""
        code = frame.f_code
        if name := _name_of(code.co_filename):
            return f"{name}:{frame.f_lineno}"
        if code is _RENDER and (site := _site_in_template(frame.f_locals.get("self"))):
            return site
        frame = frame.f_back
    return ""


@lru_cache(maxsize=8_192)
def _name_of(path: str) -> str:
    """The file's name as people know it; empty for a library's."""
    if path.startswith(("<", *_LIBRARIES)) or "/site-packages/" in path:
        return ""
    file = Path(path)
    if file.is_relative_to(_OURS) or file.is_relative_to(_OURS.with_name("audit")):
        return ""
    for root in map(Path, sys.path):
        if root.is_absolute() and file.is_relative_to(root):
            return str(file.relative_to(root))
    return file.name


def _site_in_template(node: Any) -> str:
    origin, token = getattr(node, "origin", None), getattr(node, "token", None)
    name = getattr(origin, "template_name", None)
    return f"{name}:{token.lineno}" if name and token is not None else ""
