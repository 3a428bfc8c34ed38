"""Texts on their way into the database: checked, in one form, and with all that is derived from them."""

from collections.abc import Callable
from typing import Any

from blog import limits
from blog.errors import InvalidError
from blog.markdown import clean_html_of, excerpt_of, require_size, with_pictures
from blog.models import Post


def set_body(post: Post, body: str, *, html: str = "", pictures: Callable[[], dict[str, Any]] = dict) -> None:
    """Give an unsaved or locked post its text and all that is derived from it; doesn't save it.

    Args:
        html: what `clean_html_of` gave for it, where somebody asked already.
    """
    post.body_html = with_pictures(html or clean_html_of(body), pictures())
    post.body_markdown = normalised(body)
    post.excerpt = excerpt_of(post.body_html)


def checked_title(title: str) -> str:
    """Return `title` as one line; raise InvalidError where it's empty or too long."""
    title = " ".join(title.split())
    require_size(title, 4 * limits.TITLE_CHARACTERS, field="title")
    if len(title) > limits.TITLE_CHARACTERS:
        raise InvalidError(title=f"This has {len(title)} characters; at most {limits.TITLE_CHARACTERS} are accepted.")
    return title


def checked_description(description: str) -> str:
    """Return `description` as one line; raise InvalidError where it's too long."""
    description = " ".join(description.split())
    if "\x00" in description:
        raise InvalidError(description="This holds a NUL character; remove it.")
    if len(description) > limits.DESCRIPTION_CHARACTERS:
        most = limits.DESCRIPTION_CHARACTERS
        raise InvalidError(description=f"This has {len(description)} characters; at most {most} are accepted.")
    return description


def normalised(text: str) -> str:
    """Return `text` with line feeds alone (browsers send CR LF), and without empty lines around it."""
    return text.replace("\r\n", "\n").replace("\r", "\n").strip("\n").rstrip()
