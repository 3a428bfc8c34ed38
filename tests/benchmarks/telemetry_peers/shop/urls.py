"""The views, and the variant's own page of metrics."""

from django.conf import settings
from django.urls import path

from shop import views

urlpatterns = [
    path("items/<int:item_id>/", views.show),
    path("items/<int:item_id>/restock/", views.restock),
]
if "telemetry" in settings.PARTS:
    from telemetry.views import metrics

    urlpatterns.append(path("metrics", metrics))
elif "prometheus" in settings.PARTS:
    from django_prometheus.exports import ExportToDjangoView

    urlpatterns.append(path("metrics", ExportToDjangoView))
