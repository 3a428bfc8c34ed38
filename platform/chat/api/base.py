"""What the views of the chat's API share."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

from rest_framework.exceptions import APIException, ErrorDetail, NotFound, PermissionDenied, Throttled, ValidationError
from rest_framework.serializers import Serializer
from rest_framework.views import APIView

from accounts.models import User
from chat import queries
from chat.errors import ConflictError, GoneError, InvalidError, NotAllowedError, TooManyError
from chat.models import Message
from chat.rules import Access


class Conflict(APIException):
    status_code = 409


@contextmanager
def told_to_client() -> Iterator[None]:
    """Turn what an action says into an answer: 403, 404, 409, 429, or 400 with the name of the field."""
    try:
        yield
    except NotAllowedError as error:
        raise PermissionDenied(str(error)) from error
    except GoneError as error:
        raise NotFound(str(error)) from error
    except ConflictError as error:
        raise Conflict(str(error)) from error
    except TooManyError as error:
        throttled = Throttled(wait=error.retry_after_seconds)
        throttled.detail = ErrorDetail(str(error), throttled.default_code)  # which says for how long to wait already
        raise throttled from error
    except InvalidError as error:
        raise ValidationError({error.field: [str(error)]}) from error


class ChatView(APIView):
    """A token needs `chat:read` to read, and `chat:write` for all else."""

    @property
    def member(self) -> User:
        return cast(User, self.request.user)

    def access(self, slug: str) -> Access:
        """Return what the client may do in a room that they may enter; others aren't found."""
        access = queries.room_visible_to(self.request.user, slug)
        if access is None:
            raise NotFound(queries.NOT_FOUND)
        return access

    def message(self, slug: str, message_id: int) -> tuple[Access, Message]:
        """Return a message of a room that they may enter."""
        access = self.access(slug)
        message = queries.message_in(access.room, message_id)
        if message is None:
            raise NotFound("There is no such message.")
        return access, message

    def person(self, username: str) -> User:
        """Return somebody by their username."""
        user = queries.users_named([username]).first()
        if user is None:
            raise ValidationError({"username": ["There is nobody of this name."]})
        return user

    def valid(self, serializer: type[Serializer[Any]]) -> dict[str, Any]:
        """Return what was sent, once it has the right form."""
        checked = serializer(data=self.request.data)
        checked.is_valid(raise_exception=True)
        return cast(dict[str, Any], checked.validated_data)

    def asked(self, filters: type[Serializer[Any]]) -> dict[str, Any]:
        """Return what the query narrows a list by, once it has the right form."""
        checked = filters(data=self.request.query_params)
        checked.is_valid(raise_exception=True)
        return cast(dict[str, Any], checked.validated_data)

    def number(self, name: str, largest: int = queries.LARGEST_SEQUENCE) -> int | None:
        """Return a whole number of the query, or None."""
        text = self.request.query_params.get(name)
        if text is None:
            return None
        if not (text.isascii() and text.isdigit()) or len(text) > 19 or int(text) > largest:
            raise ValidationError({name: [f"Give a whole number from 0 to {largest}."]})
        return int(text)
