"""Where the blog's pages are for the rest of the world: one address each, whatever name the request came by."""

from django.conf import settings


def absolute(path: str) -> str:
    """Return a path of this site, or an address elsewhere, with the name under which people find it."""
    return path if path.startswith("https://") else settings.PUBLIC_URL.rstrip("/") + path
