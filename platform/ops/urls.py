"""Pages for operators and developers."""

from django.urls import path
from django.views.generic import RedirectView

from ops import views

app_name = "ops"
urlpatterns = [
    path("", RedirectView.as_view(pattern_name="ops:requests")),
    path("requests/", views.requests, name="requests"),
    path("requests/<str:request_id>/", views.request_page, name="request"),
]
