"""What is the same in all forms: an event is one line, and nothing in it is more than text to whoever shows it."""

import re
from typing import Any

from audit import values

# What ends a line, moves a cursor, hides or turns the direction of text: C0 and C1 controls, soft hyphen, zero widths,
# separators of lines and paragraphs, bidirectional marks, embeddings and isolates, annotations, byte order mark.
_ACTIVE = "\x00-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
_ANY_ACTIVE = re.compile(f"[{_ACTIVE}]")


def json_line(members: dict[str, Any]) -> bytes:
    """Return an object as a line of JSON: numbers with all their digits, and active characters as their escapes.

    A reader of JSON gets each character as it was.
    """
    text = values.dumps(members).decode()
    return (text if text.isascii() and "\x7f" not in text else inert(text)).encode() + b"\n"


def inert(text: str, *, but: str = "") -> str:
    r"""Return `text` with active characters as `\u202e`; those in `but` stay."""
    return _ANY_ACTIVE.sub(lambda match: match[0] if match[0] in but else f"\\u{ord(match[0]):04x}", text)
