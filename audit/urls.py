"""Addresses of the ledger's pages, below `/audit/`."""

from django.urls import path

from audit.pages import events, exports, objects, restores, search, searches

app_name = "audit"
urlpatterns = [
    path("", search.events, name="events"),
    path("overview/", search.overview, name="overview"),
    path("searches/", searches.save_search, name="save_search"),
    path("searches/<int:search_id>/delete/", searches.delete_search, name="delete_search"),
    path("events/<int:event_id>/", events.event, name="event"),
    path("exports/", exports.exports_page, name="exports"),
    path("exports/<uuid:export_id>/file/", exports.file, name="export_file"),
    path("restore/<str:object_type>/<path:object_id>/", restores.restore, name="restore"),
    path("objects/<str:object_type>/<path:object_id>/", objects.timeline, name="object"),
    path("actors/<path:actor_id>/", events.actor, name="actor"),
]
