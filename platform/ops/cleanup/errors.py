"""What can be wrong with a cleanup that somebody asks for."""


class UnknownKindError(Exception):
    """There's no such kind of rubbish; the message says which there are."""
