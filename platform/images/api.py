"""The API of pictures: one's own. The same actions and rules as the pages."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar, cast

from django.db.models import QuerySet
from django.urls import path
from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import generics, serializers, status
from rest_framework.exceptions import APIException, NotFound, PermissionDenied, ValidationError
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.models import User
from images import actions, limits, queries
from images.errors import NoRoomError, NotAllowedError, RefusedError
from images.models import STEPS, Picture, Thumbnail


class ProgressSerializer(serializers.Serializer[Any]):
    done = serializers.IntegerField()
    total = serializers.IntegerField()


class ThumbnailSerializer(serializers.ModelSerializer[Thumbnail]):
    url = serializers.FileField(source="file", read_only=True)

    class Meta:
        model = Thumbnail
        fields: ClassVar[list[str]] = ["width", "height", "byte_size", "url"]


class PictureSerializer(serializers.ModelSerializer[Picture]):
    progress = serializers.SerializerMethodField()
    url = serializers.FileField(source="file", read_only=True, allow_null=True, help_text="Null until it's ready.")
    thumbnails = ThumbnailSerializer(many=True, read_only=True)

    class Meta:
        model = Picture
        fields: ClassVar[list[str]] = [
            "id",
            "name",
            "alt",
            "state",
            "message",
            "progress",
            "format",
            "width",
            "height",
            "frames",
            "byte_size",
            "checksum_sha256",
            "url",
            "thumbnails",
            "created_at",
            "request_id",
        ]

    @extend_schema_field(ProgressSerializer)
    def get_progress(self, picture: Picture) -> dict[str, int]:
        return {"done": picture.steps_done, "total": STEPS}


class PictureInput(serializers.Serializer[Any]):
    file = serializers.FileField(
        allow_empty_file=True,
        help_text=f"{', '.join(limits.IMAGE_SUFFIXES)}; at most {limits.IMAGE_BYTES:,} bytes and"
        f" {limits.IMAGE_PIXELS:,} pixels.",
    )
    alt = serializers.CharField(
        required=False, allow_blank=True, default="", help_text="What it shows, for those who can't see it."
    )


class PictureChange(serializers.Serializer[Any]):
    alt = serializers.CharField(allow_blank=True, help_text="What it shows, for those who can't see it.")


class _NoRoom(APIException):
    status_code = status.HTTP_507_INSUFFICIENT_STORAGE


@contextmanager
def _told_to_client() -> Iterator[None]:
    """Turn what an action says into an answer: 403, 507, or 400 with the name of the field."""
    try:
        yield
    except NotAllowedError as error:
        raise PermissionDenied(str(error)) from error
    except RefusedError as error:
        raise ValidationError({error.field: [str(error)]}) from error
    except NoRoomError as error:
        raise _NoRoom(str(error)) from error


class PictureList(generics.ListAPIView[Picture]):
    """What you uploaded, newest first."""

    serializer_class = PictureSerializer
    queryset = Picture.objects.none()
    parser_classes = (MultiPartParser,)

    def get_queryset(self) -> QuerySet[Picture]:
        return queries.pictures_of(self.request.user)

    @extend_schema(tags=["images"])
    def get(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        """List what you uploaded."""
        return super().get(request, *args, **kwargs)

    @extend_schema(tags=["images"], request=PictureInput, responses={201: PictureSerializer})
    def post(self, request: Request) -> Response:
        """Upload a picture; its `state` tells how it goes on: waiting, processing, then ready, refused or failed."""
        values = PictureInput(data=request.data)
        values.is_valid(raise_exception=True)
        with _told_to_client():
            picture = actions.upload_picture(
                values.validated_data["file"], actor=cast(User, request.user), alt=values.validated_data["alt"]
            )
        return Response(_shown(picture, request), status=status.HTTP_201_CREATED)


class PictureDetail(APIView):
    """One picture; that of someone else is not found."""

    @extend_schema(tags=["images"], responses=PictureSerializer)
    def get(self, request: Request, picture_id: int) -> Response:
        """Return a picture, and how far it is."""
        return Response(_shown(_picture(request, picture_id), request))

    @extend_schema(tags=["images"], request=PictureChange, responses=PictureSerializer)
    def patch(self, request: Request, picture_id: int) -> Response:
        """Describe a picture."""
        picture = _picture(request, picture_id)
        values = PictureChange(data=request.data)
        values.is_valid(raise_exception=True)
        with _told_to_client():
            picture = actions.describe_picture(picture, actor=cast(User, request.user), **values.validated_data)
        return Response(_shown(picture, request))

    @extend_schema(tags=["images"], responses={204: None})
    def delete(self, request: Request, picture_id: int) -> Response:
        """Delete a picture with its thumbnails."""
        with _told_to_client():
            actions.delete_picture(_picture(request, picture_id), actor=cast(User, request.user))
        return Response(status=status.HTTP_204_NO_CONTENT)


def _shown(picture: Picture, request: Request) -> Any:
    return PictureSerializer(picture, context={"request": request}).data


def _picture(request: Request, picture_id: int) -> Picture:
    picture = queries.picture_visible_to(request.user, picture_id)
    if picture is None:
        raise NotFound("There is no such picture, or it isn't yours.")
    return picture


api_urlpatterns = [
    path("", PictureList.as_view(), name="picture-list"),
    path("<int:picture_id>/", PictureDetail.as_view(), name="picture-detail"),
]
