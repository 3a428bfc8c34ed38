class EmbeddedServerError(Exception):
    """An embedded server can't start. The message is one line: what is wrong, and what to do."""
