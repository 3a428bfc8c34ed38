"""Pages of the ledger."""

from django.urls import path

from audit import pages

app_name = "audit"
urlpatterns = [path("", pages.events, name="events")]
