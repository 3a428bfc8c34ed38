"""Addresses of the ledger's API, below `/api/audit/`."""

from django.urls import path, re_path

from audit.api.events import EventDetail, EventFacets, EventList
from audit.api.exports import ExportDetail, ExportFile, ExportList, ExportStream
from audit.api.objects import ObjectDetail, ObjectRestore

# A key may be any text: with slashes, a composite one's JSON, line ends.
_OBJECT = r"^objects/(?P<object_type>[^/]+)/(?P<object_id>(?s:.+))/"

api_urlpatterns = [
    path("events/", EventList.as_view(), name="audit-events"),
    path("events/facets/", EventFacets.as_view(), name="audit-facets"),
    path("events/<int:pk>/", EventDetail.as_view(), name="audit-event"),
    path("export/", ExportStream.as_view(), name="audit-export-stream"),
    path("exports/", ExportList.as_view(), name="audit-exports"),
    path("exports/<uuid:pk>/", ExportDetail.as_view(), name="audit-export"),
    path("exports/<uuid:pk>/file/", ExportFile.as_view(), name="audit-export-file"),
    re_path(f"{_OBJECT}restore/$", ObjectRestore.as_view(), name="audit-object-restore"),
    re_path(f"{_OBJECT}$", ObjectDetail.as_view(), name="audit-object"),
]
