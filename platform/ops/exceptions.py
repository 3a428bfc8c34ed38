"""Exceptions as spans keep them, in one sentence, with the line of the project's own code."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from django.conf import settings

_FRAME = re.compile(r'File "([^"]+)", line (\d+)')
_LIBRARIES = ("/site-packages/", "/lib/python", "<")


def said(attributes: Mapping[str, Any]) -> str:
    """Return what an exception's event tells: its class, its message, and where it was raised."""
    text = f"{attributes.get('exception.type', '')}: {attributes.get('exception.message', '')}".strip(": ")
    site = _site(traceback(attributes))
    return f"{text} at {site}" if site else text


def traceback(attributes: Mapping[str, Any]) -> str:
    """Return the traceback of an exception's event in lines: what spans keep is escaped."""
    return unescaped(str(attributes.get("exception.stacktrace", "")))


def unescaped(text: str) -> str:
    """Return a text with the line breaks that redaction escaped."""
    return text.replace("\\u000a", "\n")


def _site(stack: str) -> str:
    """The innermost line that is no library's."""
    for path, number in reversed(_FRAME.findall(stack)):
        if any(part in path for part in _LIBRARIES):
            continue
        for root in (settings.BASE_DIR, settings.PROJECT_DIR):
            if Path(path).is_relative_to(root):
                return f"{Path(path).relative_to(root)}:{number}"
        return f"{Path(path).name}:{number}"
    return ""
