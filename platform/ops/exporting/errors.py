"""What can be wrong with an export that somebody asks for."""


class ExportRefusedError(Exception):
    """This can't be exported; the message says why, and what can."""
