"""The forms of what the API takes and tells. What is told is made by `chat.showing`, the same as over the socket."""

from typing import Any, ClassVar

from rest_framework import serializers

from chat.actions.messages import EMOJI, MOST_PICTURES
from chat.actions.moderating import VERDICTS
from chat.models import LONGEST_BODY, Report, ReportState, Restriction, RestrictionKind, Role, Room, RoomKind

NEW_ROOM_KINDS = [(kind.value, kind.label) for kind in (RoomKind.PUBLIC, RoomKind.PRIVATE)]


class PersonSerializer(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    name = serializers.CharField()
    username = serializers.CharField()


class NamedPersonSerializer(PersonSerializer):
    is_near = serializers.BooleanField(help_text="Whether they belong to the room or talked there lately.")


class RoomSerializer(serializers.ModelSerializer[Room]):
    class Meta:
        model = Room
        fields: ClassVar[list[str]] = [
            "slug",
            "name",
            "topic",
            "kind",
            "created_at",
            "archived_at",
            "last_sequence",
        ]


class RoomFilters(serializers.Serializer[Any]):
    kind = serializers.ChoiceField(choices=RoomKind.choices, required=False)
    archived = serializers.BooleanField(default=False, help_text="Archived ones as well.")


class RoomStateSerializer(RoomSerializer):
    """A room as an event tells of it, whose own number the event has."""

    class Meta(RoomSerializer.Meta):
        fields: ClassVar[list[str]] = ["slug", "name", "topic", "kind", "created_at", "archived_at"]


class YouSerializer(serializers.Serializer[Any]):
    role = serializers.ChoiceField(choices=Role.choices, allow_null=True)
    can_write = serializers.BooleanField()
    can_moderate = serializers.BooleanField()
    can_own = serializers.BooleanField()


class RoomDetailSerializer(RoomSerializer):
    you = YouSerializer(help_text="What you may do here.")

    class Meta(RoomSerializer.Meta):
        fields: ClassVar[list[str]] = [*RoomSerializer.Meta.fields, "you"]


class NewRoomSerializer(serializers.Serializer[Any]):
    name = serializers.CharField(max_length=100)
    slug = serializers.SlugField(max_length=50, required=False, help_text="Made from the name where it's missing.")
    topic = serializers.CharField(max_length=200, required=False, allow_blank=True)
    kind = serializers.ChoiceField(choices=NEW_ROOM_KINDS, default=RoomKind.PRIVATE)


class RoomChangeSerializer(serializers.Serializer[Any]):
    name = serializers.CharField(max_length=100, required=False)
    topic = serializers.CharField(max_length=200, required=False, allow_blank=True)
    is_archived = serializers.BooleanField(required=False)


class UsernameSerializer(serializers.Serializer[Any]):
    username = serializers.CharField(max_length=150)


class MemberSerializer(serializers.Serializer[Any]):
    user = PersonSerializer()
    role = serializers.ChoiceField(choices=Role.choices)


class MemberStateSerializer(MemberSerializer):
    """A member as an event tells of them."""

    role = serializers.ChoiceField(choices=Role.choices, allow_null=True, help_text="Null: they are none any more.")


class NewMemberSerializer(serializers.Serializer[Any]):
    username = serializers.CharField(max_length=150, required=False, help_text="Yourself where it's missing.")
    role = serializers.ChoiceField(choices=Role.choices, default=Role.MEMBER)


class RoleSerializer(serializers.Serializer[Any]):
    role = serializers.ChoiceField(choices=Role.choices)


class MessagePictureSerializer(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    url = serializers.CharField(allow_null=True)
    alt = serializers.CharField()
    width = serializers.IntegerField()
    height = serializers.IntegerField()
    srcset = serializers.CharField(help_text="Thumbnails, as a page has them.")


class MessageSerializer(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    sequence = serializers.IntegerField(help_text="The room's number of the event that it was said by.")
    version = serializers.IntegerField(help_text="The room's number of the last event that changed it.")
    author = PersonSerializer()
    body = serializers.CharField(help_text="Markdown; empty where it's deleted.")
    html = serializers.CharField(help_text="The same as safe HTML.")
    client_id = serializers.UUIDField(allow_null=True)
    reply_to = serializers.IntegerField(allow_null=True, help_text="The id of the message that it answers.")
    mentions = serializers.ListField(child=serializers.IntegerField(), help_text="Ids of people named in it.")
    pictures = MessagePictureSerializer(many=True)
    reactions = serializers.DictField(
        child=serializers.ListField(child=serializers.IntegerField()), help_text="Ids of people by sign."
    )
    created_at = serializers.DateTimeField()
    edited_at = serializers.DateTimeField(allow_null=True)
    deleted_at = serializers.DateTimeField(allow_null=True)
    pinned_at = serializers.DateTimeField(allow_null=True)


class FoundMessageSerializer(MessageSerializer):
    room = serializers.SlugField()


class MessagePageSerializer(serializers.Serializer[Any]):
    results = MessageSerializer(many=True)
    last_sequence = serializers.IntegerField(help_text="The room's; ask for the events that follow it.")


class NewMessageSerializer(serializers.Serializer[Any]):
    body = serializers.CharField(max_length=LONGEST_BODY, trim_whitespace=False, allow_blank=True)
    client_id = serializers.UUIDField(required=False, allow_null=True, help_text="Yours: sent twice, stored once.")
    reply_to = serializers.IntegerField(required=False, allow_null=True, min_value=1)
    pictures = serializers.ListField(
        child=serializers.IntegerField(min_value=1),
        required=False,
        max_length=MOST_PICTURES,
        help_text="Ids of your pictures that are ready (/api/images/).",
    )


class MessageChangeSerializer(serializers.Serializer[Any]):
    body = serializers.CharField(max_length=LONGEST_BODY, trim_whitespace=False, allow_blank=True)


class VersionSerializer(serializers.Serializer[Any]):
    at = serializers.DateTimeField()
    actor = serializers.CharField()
    action = serializers.CharField()
    before = serializers.CharField(allow_null=True)
    after = serializers.CharField(allow_null=True)
    request_id = serializers.CharField()


class RoomEventSerializer(serializers.Serializer[Any]):
    type = serializers.CharField()
    room = serializers.SlugField()
    sequence = serializers.IntegerField()
    message = MessageSerializer(required=False, allow_null=True)
    room_state = RoomStateSerializer(required=False)
    member = MemberStateSerializer(required=False)


class EventPageSerializer(serializers.Serializer[Any]):
    after = serializers.IntegerField()
    upto = serializers.IntegerField(help_text="All up to here is told; go on from here until it's the last.")
    last_sequence = serializers.IntegerField()
    events = RoomEventSerializer(many=True)
    resync = serializers.BooleanField(help_text="The events can't be had any more: fetch the room anew.")


class ReadSerializer(serializers.Serializer[Any]):
    sequence = serializers.IntegerField(min_value=0, max_value=2**63 - 1)


class RoomUnreadSerializer(serializers.Serializer[Any]):
    room = serializers.SlugField()
    read = serializers.IntegerField()
    last_sequence = serializers.IntegerField()
    unread = serializers.IntegerField(help_text="Counted up to a hundred.")
    mentions = serializers.IntegerField(help_text="How many of them name you.")


class PresenceSerializer(serializers.Serializer[Any]):
    count = serializers.IntegerField()
    here = PersonSerializer(many=True)


class ReportReasonSerializer(serializers.Serializer[Any]):
    reason = serializers.CharField(max_length=500)


class MessageReportSerializer(serializers.ModelSerializer[Report]):
    message_id = serializers.IntegerField()
    room = serializers.SlugField(source="message.room.slug")
    author = PersonSerializer(source="message.author")
    reporter = PersonSerializer()

    class Meta:
        model = Report
        fields: ClassVar[list[str]] = [
            "id",
            "message_id",
            "room",
            "author",
            "body",
            "reporter",
            "reason",
            "state",
            "note",
            "created_at",
            "resolved_at",
        ]


class ReportFilters(serializers.Serializer[Any]):
    state = serializers.ChoiceField(choices=ReportState.choices, required=False)


class VerdictSerializer(serializers.Serializer[Any]):
    action = serializers.ChoiceField(choices=VERDICTS)
    note = serializers.CharField(max_length=500, required=False, allow_blank=True)
    minutes = serializers.IntegerField(required=False, allow_null=True, min_value=1)


class RestrictionSerializer(serializers.ModelSerializer[Restriction]):
    user = PersonSerializer()
    room = serializers.SlugField(source="room.slug", allow_null=True, default=None)

    class Meta:
        model = Restriction
        fields: ClassVar[list[str]] = ["id", "user", "room", "kind", "reason", "created_at", "expires_at", "lifted_at"]


class NewRestrictionSerializer(serializers.Serializer[Any]):
    username = serializers.CharField(max_length=150)
    room = serializers.SlugField(required=False, allow_null=True, help_text="All rooms where it's missing.")
    kind = serializers.ChoiceField(choices=RestrictionKind.choices)
    reason = serializers.CharField(max_length=500)
    minutes = serializers.IntegerField(required=False, allow_null=True, min_value=1, help_text="Missing: no end.")


EMOJI_HELP = f"One of {' '.join(EMOJI)}."
