class NotificationsError(Exception):
    """Something is wrong with a notification."""


class UnsafeUrlError(NotificationsError, ValueError):
    """A notification's address must be a path of this site, such as /blog/a-post/."""


class UnknownKindError(NotificationsError, ValueError):
    """There is no such kind of notification."""


class TopicError(NotificationsError, ValueError):
    """A topic is a short key and what people call it; neither goes without the other."""


class MailServerError(NotificationsError):
    """The mail server didn't take a mail."""
