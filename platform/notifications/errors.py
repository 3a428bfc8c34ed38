class NotificationsError(Exception):
    """Something is wrong with a notification."""


class UnsafeUrlError(NotificationsError, ValueError):
    """A notification's address must be a path of this site, such as /blog/a-post/."""
