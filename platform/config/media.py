"""Uploaded files. What people upload is shown, never run."""

from pathlib import PurePosixPath

from django.conf import settings
from django.core.exceptions import SuspiciousFileOperation
from django.http import Http404, HttpRequest
from django.http.response import HttpResponseBase
from django.views.static import serve

# Pictures that hold no script; all else is offered to be saved.
_SHOWN = frozenset({".png", ".jpg", ".jpeg", ".gif", ".webp", ".avif"})
_NOTHING = "default-src 'none'; style-src 'unsafe-inline'; sandbox"


def uploaded_file(request: HttpRequest, path: str) -> HttpResponseBase:
    """Return the file at `path` below MEDIA_ROOT; names are random and never used again, so it's kept for a year.

    Raises:
        Http404: there is no such file.
    """
    try:
        response = serve(request, path, document_root=str(settings.MEDIA_ROOT))
    except (SuspiciousFileOperation, OSError, ValueError) as error:  # outside the folder, or no name for a file
        raise Http404 from error
    if PurePosixPath(path).suffix.lower() not in _SHOWN:
        response.headers["Content-Disposition"] = "attachment"
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Content-Security-Policy"] = _NOTHING
    response.headers["Cache-Control"] = "public, max-age=31536000, immutable"
    return response
