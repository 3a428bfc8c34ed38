from django.urls import path

from chat.views import about, messages, moderation, room, rooms

app_name = "chat"
urlpatterns = [
    path("", rooms.room_list, name="room_list"),
    # No room is called "-": addresses of rooms begin with a letter or digit.
    path("-/new/", rooms.new_room, name="new_room"),
    path("-/direct/", rooms.open_direct, name="direct"),
    path("-/search/", rooms.search, name="search"),
    path("-/moderation/", moderation.moderation, name="moderation"),
    path("-/moderation/reports/<int:report_id>/", moderation.resolve_report, name="resolve_report"),
    path("-/moderation/restrictions/", moderation.restrict, name="restrict"),
    path("-/moderation/restrictions/<int:restriction_id>/lift/", moderation.lift, name="lift"),
    path("<slug:slug>/", room.room_page, name="room"),
    path("<slug:slug>/about/", about.about_room, name="about"),
    path("<slug:slug>/change/", about.change_room, name="change"),
    path("<slug:slug>/messages/<int:message_id>/", messages.message_page, name="message"),
    path("<slug:slug>/messages/<int:message_id>/change/", messages.change_message, name="change_message"),
]
