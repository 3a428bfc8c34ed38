"""Answers that say which version they are: who has it already is told so, and who changes another one is stopped.

An ETag is strong: it's of the answer's JSON itself, so that it changes with all that's told, such as an author's name.
"""

import hashlib
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any, cast

from django.http import HttpResponseBase
from django.utils.cache import get_conditional_response, patch_cache_control
from django.utils.http import http_date, parse_etags
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse
from rest_framework.exceptions import APIException
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from blog.errors import ConflictError
from blog.models import Post
from blog.serializers import PostSerializer

IF_MATCH = OpenApiParameter(
    "If-Match",
    OpenApiTypes.STR,
    OpenApiParameter.HEADER,
    description="The `ETag` that you read: 412 where it's another one by now. Left out, the last one wins.",
)
IF_NONE_MATCH = OpenApiParameter(
    "If-None-Match",
    OpenApiTypes.STR,
    OpenApiParameter.HEADER,
    description="The `ETag` of the answer that you have: 304 where it's still the same.",
)
NOT_MODIFIED = OpenApiResponse(description="You have it already.")
CHANGED = OpenApiResponse(description="It was changed since you read it; nothing was done. Read it again.")


class PreconditionFailed(APIException):
    status_code = 412
    default_detail = "This was changed since you read it, and nothing was done. Read it again, then decide."


def etag_of(data: Any) -> str:
    """Return the strong ETag of an answer's data."""
    return f'"{hashlib.blake2b(JSONRenderer().render(data), digest_size=16).hexdigest()}"'


def changed_at(post: Post) -> datetime:
    """Return when a post's text or whether it's published last changed."""
    return max(post.updated_at, post.published_at or post.updated_at)


def conditional(request: Request, response: Response, last_modified: datetime | None = None) -> HttpResponseBase:
    """Give an answer its version; return a 304 in its place to whoever has it already."""
    response["ETag"] = etag_of(response.data)
    second = int(last_modified.timestamp()) if last_modified else None
    if second is not None and time.time() < second + 1:
        second = None  # within its second another version may follow, and the two had the same date
    if second is not None:
        response["Last-Modified"] = http_date(second)
    patch_cache_control(response, private=True, no_cache=True)
    found = get_conditional_response(request._request, etag=response["ETag"], last_modified=second, response=response)
    return cast(HttpResponseBase, found)


@contextmanager
def matching(request: Request, post: Post) -> Iterator[str | None]:
    """Give the version to change where the request names one by `If-Match`, else None.

    Raises:
        PreconditionFailed: the post is another one, before or in the block.
    """
    with still(request, lambda: PostSerializer(post).data) as is_named:
        yield post.version if is_named else None


@contextmanager
def still(request: Request, told: Callable[[], Any]) -> Iterator[bool]:
    """Say whether the request names by `If-Match` the version to change, which is what's `told`.

    Raises:
        PreconditionFailed: it's another one, before or in the block.
    """
    wanted = request.headers.get("If-Match")
    if wanted is None or wanted.strip() == "*":  # it's there, or it were a 404
        yield False
        return
    if etag_of(told()) not in parse_etags(wanted):
        raise PreconditionFailed
    try:
        yield True
    except ConflictError as error:
        raise PreconditionFailed from error
