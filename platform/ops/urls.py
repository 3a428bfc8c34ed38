"""Pages for operators and developers."""

from django.urls import path

from ops import views
from ops.maintenance import pages

app_name = "ops"
urlpatterns = [
    path("", views.overview, name="overview"),
    path("maintenance/", pages.maintenance, name="maintenance"),
    path("requests/", views.requests, name="requests"),
    path("requests/<str:request_id>/", views.request_page, name="request"),
    path("traces/<str:trace_id>/", views.trace_page, name="trace"),
    path("tasks/<str:task_id>/", views.task_page, name="task"),
    path("users/<str:user_id>/", views.user_page, name="user"),
    path("objects/<str:object_type>/<path:object_id>/", views.object_page, name="object"),
]
