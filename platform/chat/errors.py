class ChatError(Exception):
    """Something is wrong with what was asked of the chat."""


class InvalidMessageError(ChatError, ValueError):
    """A message has 1 to 4,000 characters, and no control characters."""
