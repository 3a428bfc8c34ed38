"""What can go wrong with pictures. The message is for the person who uploaded."""

from enum import StrEnum


class Reason(StrEnum):
    """Why a picture is refused, for figures and logs."""

    FORMAT = "format"
    NAME = "name"
    SIZE = "size"
    BOMB = "bomb"
    BROKEN = "broken"
    POLYGLOT = "polyglot"
    TEXT = "text"
    MANY = "many"


class ImagesError(Exception):
    """This can't be done with a picture."""


class NotAllowedError(ImagesError):
    """This account may not do that with pictures."""


class RefusedError(ImagesError):
    """This isn't a picture that may be shown; the message says why, and how to mend it."""

    def __init__(self, message: str, *, reason: Reason, field: str = "file") -> None:
        super().__init__(message)
        self.reason = reason
        self.field = field


class NoRoomError(ImagesError):
    """The picture can't be stored at the moment: there is no room for it. Nothing of it was kept; try again later."""
