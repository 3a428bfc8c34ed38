"""All that changes the chat. Each action checks `chat.rules`, is atomic, and takes effect outside on commit.

Each raises `NotAllowedError` where the rules forbid it, `InvalidError` where values are not acceptable, and
`ConflictError` where it doesn't go with how things are by now.
"""

from chat.actions.log import group_of
from chat.actions.members import add_member, change_role, join_room, remove_member
from chat.actions.messages import clean_body, delete_message, edit_message, pin, react, send_message
from chat.actions.moderating import lift, report_message, resolve_report, restrict
from chat.actions.reading import group_of_reader, mark_read
from chat.actions.rooms import archive_room, create_room, describe_room, open_direct, open_room, tell_room_changed

__all__ = [
    "add_member",
    "archive_room",
    "change_role",
    "clean_body",
    "create_room",
    "delete_message",
    "describe_room",
    "edit_message",
    "group_of",
    "group_of_reader",
    "join_room",
    "lift",
    "mark_read",
    "open_direct",
    "open_room",
    "pin",
    "react",
    "remove_member",
    "report_message",
    "resolve_report",
    "restrict",
    "send_message",
    "tell_room_changed",
]
