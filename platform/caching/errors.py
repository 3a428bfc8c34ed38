"""What can go wrong in the caches. Callers that treat all alike catch `CachingError`."""


class CachingError(Exception):
    """The cache could not do this."""


class AwayError(CachingError):
    """Redis can't be asked at this moment."""


class NotForAllError(CachingError):
    """A page for everybody asked for what only one visitor's request has."""
