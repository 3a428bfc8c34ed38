"""The shop's background work."""

from celery import Celery
from django.contrib.auth.models import Group

from telemetry import celery as telemetry_celery

app = Celery("shop")
app.config_from_object("django.conf:settings", namespace="CELERY")
telemetry_celery.connect(app)


@app.task(name="shop.ship")
def ship(number: int) -> int:
    return Group.objects.filter(pk=number).count()
