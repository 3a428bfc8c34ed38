"""What can go wrong in the blog. Callers that treat all alike catch `BlogError`."""

from functools import partial
from typing import Any


class BlogError(Exception):
    """The blog could not do this."""


class NotAllowedError(BlogError):
    """This account may not do this."""


class InvalidError(BlogError):
    """Some of the values are not acceptable.

    `messages` maps the name of each field to what is wrong with it and how to mend it.
    """

    def __init__(self, **messages: str) -> None:
        super().__init__("; ".join(f"{field}: {message}" for field, message in messages.items()))
        self.messages = messages

    def __reduce__(self) -> tuple[Any, ...]:
        """Tell how it's made anew in another process: by names, which an exception's own way leaves out."""
        return partial(type(self), **self.messages), ()


class ConflictError(BlogError):
    """Somebody changed this post since you opened it. Nothing was saved: read what it says now, then decide."""


class OvertakenError(ConflictError):
    """Somebody changed this since you read it. Nothing was done: read it again, then decide."""


class ImportFileError(BlogError):
    """A file of an import is not acceptable; the message says what is wrong and how to mend it."""
