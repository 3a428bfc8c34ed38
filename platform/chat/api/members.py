"""The API of who belongs to a room."""

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import status
from rest_framework.exceptions import NotFound, ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.models import User
from chat import actions, limits, queries, showing
from chat.api.base import ChatView, told_to_client
from chat.api.serializers import MemberSerializer, NamedPersonSerializer, NewMemberSerializer, RoleSerializer

_LONGEST_BEGINNING = 30


class MemberList(ChatView):
    """A room's members."""

    @extend_schema(tags=["chat"], responses=MemberSerializer(many=True))
    def get(self, request: Request, slug: str) -> Response:
        """Return a room's members, those first who came first."""
        return Response(showing.members(queries.members_of(self.access(slug).room)))

    @extend_schema(tags=["chat"], request=NewMemberSerializer, responses={201: MemberSerializer})
    def post(self, request: Request, slug: str) -> Response:
        """Join a room; or bring somebody in."""
        room = self.access(slug).room
        values = self.valid(NewMemberSerializer)
        with told_to_client():
            if "username" in values:
                user = self.person(values["username"])
                member = actions.add_member(room, user, actor=self.member, role=values["role"])
            else:
                user = self.member
                member = actions.join_room(room, actor=user)
        shown = showing.member(user.pk, member, user.name, user.username)
        return Response(shown, status=status.HTTP_201_CREATED)


class RoomPeople(ChatView):
    """People whom a message in a room can name."""

    @extend_schema(
        tags=["chat"],
        parameters=[
            OpenApiParameter("q", OpenApiTypes.STR, description="How the name begins, in at most 30 characters.")
        ],
        responses=NamedPersonSerializer(many=True),
    )
    def get(self, request: Request, slug: str) -> Response:
        """Return a few people whose names begin so, those first who belong to the room or talked there lately."""
        room = self.access(slug).room
        beginning = request.query_params.get("q", "")
        if len(beginning) > _LONGEST_BEGINNING or "\x00" in beginning:
            raise ValidationError({"q": [f"Give the beginning of a name, of at most {_LONGEST_BEGINNING} characters."]})
        with told_to_client():
            limits.take_question(self.member)
        found = queries.people_to_name(self.member, room, beginning)
        shown = [
            {"id": one.pk, "name": one.name, "username": one.username, "is_near": is_near} for one, is_near in found
        ]
        return Response(shown)


class MemberDetail(ChatView):
    """One member of a room."""

    @extend_schema(tags=["chat"], request=RoleSerializer, responses=MemberSerializer)
    def patch(self, request: Request, slug: str, user_id: int) -> Response:
        """Give a member another role."""
        room = self.access(slug).room
        user = self._user(user_id)
        with told_to_client():
            member = actions.change_role(room, user, actor=self.member, role=self.valid(RoleSerializer)["role"])
        return Response(showing.member(user.pk, member, user.name, user.username))

    @extend_schema(tags=["chat"], responses={204: None})
    def delete(self, request: Request, slug: str, user_id: int) -> Response:
        """Leave a room, or have somebody leave it."""
        room = self.access(slug).room
        with told_to_client():
            actions.remove_member(room, self._user(user_id), actor=self.member)
        return Response(status=status.HTTP_204_NO_CONTENT)

    def _user(self, user_id: int) -> User:
        user = User.objects.filter(pk=user_id).first()
        if user is None:
            raise NotFound("There is no such member of this room.")
        return user
