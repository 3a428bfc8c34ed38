"""What can go wrong in the chat. Callers that treat all alike catch `ChatError`."""


class ChatError(Exception):
    """The chat could not do this."""


class NotAllowedError(ChatError):
    """This account may not do this here."""


class InvalidError(ChatError, ValueError):
    """Something that was sent isn't acceptable; `field` names what."""

    field = "non_field_errors"

    def __init__(self, message: str, *, field: str = "") -> None:
        super().__init__(message)
        self.field = field or self.field


class InvalidMessageError(InvalidError):
    """A message has 1 to 4,000 characters, and no control characters."""

    field = "body"


class ConflictError(ChatError):
    """What is asked doesn't go with how things are by now."""


class GoneError(ConflictError):
    """There is no such room, or no such message in it, any more."""


class TooManyError(ChatError):
    """Too much in too short a time; wait `retry_after_seconds`."""

    def __init__(self, message: str, *, retry_after_seconds: int) -> None:
        super().__init__(message)
        self.retry_after_seconds = retry_after_seconds
