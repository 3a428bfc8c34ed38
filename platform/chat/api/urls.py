"""Every address below `/api/chat/`."""

from django.urls import path

from chat.api import members, messages, moderation, rooms

_ROOM = "rooms/<slug:slug>/"
_MESSAGE = f"{_ROOM}messages/<int:message_id>/"

api_urlpatterns = [
    path("rooms/", rooms.RoomList.as_view(), name="chat-room-list"),
    path("direct/", rooms.DirectRoom.as_view(), name="chat-direct"),
    path("unread/", rooms.Unread.as_view(), name="chat-unread"),
    path("search/", messages.Search.as_view(), name="chat-search"),
    path(_ROOM, rooms.RoomDetail.as_view(), name="chat-room"),
    path(f"{_ROOM}events/", rooms.RoomEvents.as_view(), name="chat-event-list"),
    path(f"{_ROOM}pins/", rooms.RoomPins.as_view(), name="chat-pin-list"),
    path(f"{_ROOM}read/", rooms.RoomRead.as_view(), name="chat-read"),
    path(f"{_ROOM}presence/", rooms.RoomPresence.as_view(), name="chat-presence"),
    path(f"{_ROOM}people/", members.RoomPeople.as_view(), name="chat-people"),
    path(f"{_ROOM}members/", members.MemberList.as_view(), name="chat-member-list"),
    path(f"{_ROOM}members/<int:user_id>/", members.MemberDetail.as_view(), name="chat-member"),
    path(f"{_ROOM}messages/", messages.MessageList.as_view(), name="chat-message-list"),
    path(_MESSAGE, messages.MessageDetail.as_view(), name="chat-message"),
    path(f"{_MESSAGE}history/", messages.MessageHistory.as_view(), name="chat-message-history"),
    path(f"{_MESSAGE}reactions/<str:emoji>/", messages.MessageReaction.as_view(), name="chat-reaction"),
    path(f"{_MESSAGE}pin/", messages.MessagePin.as_view(), name="chat-pin"),
    path(f"{_MESSAGE}report/", moderation.MessageReport.as_view(), name="chat-report"),
    path("reports/", moderation.ReportList.as_view(), name="chat-report-list"),
    path("reports/<int:report_id>/resolve/", moderation.ReportResolve.as_view(), name="chat-report-resolve"),
    path("restrictions/", moderation.RestrictionList.as_view(), name="chat-restriction-list"),
    path("restrictions/<int:restriction_id>/", moderation.RestrictionDetail.as_view(), name="chat-restriction"),
]
