"""Addresses of the ledger's API, below `/api/audit/`."""

from django.urls import path

from audit.api.events import EventDetail, EventFacets, EventList

api_urlpatterns = [
    path("events/", EventList.as_view(), name="audit-events"),
    path("events/facets/", EventFacets.as_view(), name="audit-facets"),
    path("events/<int:pk>/", EventDetail.as_view(), name="audit-event"),
]
