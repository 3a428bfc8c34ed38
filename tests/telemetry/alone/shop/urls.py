"""The shop's pages, and what Prometheus reads."""

from typing import Any

from django.contrib.auth.models import Group
from django.core.cache import cache
from django.http import HttpRequest, HttpResponse
from django.urls import path

from telemetry.views import metrics


def goods(request: HttpRequest, pk: int) -> HttpResponse:
    found = cache.get_or_set(f"goods:{pk}", lambda: Group.objects.filter(pk=pk).count(), 60)
    return HttpResponse(str(found))


def order(request: HttpRequest) -> HttpResponse:
    from shop.worker import ship

    return HttpResponse(ship.delay(7).id)


urlpatterns: list[Any] = [path("goods/<int:pk>/", goods), path("order/", order), path("metrics", metrics)]
