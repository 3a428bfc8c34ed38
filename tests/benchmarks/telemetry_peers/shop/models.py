"""The one table, captured by the library that the variant has for it."""

from django.conf import settings
from django.db import models


class Item(models.Model):
    title = models.CharField(max_length=200)
    description = models.TextField()
    stock = models.IntegerField()
    updated_at = models.DateTimeField(auto_now=True)


if "audit" in settings.PARTS:
    import audit

    audit.track()(Item)
elif "auditlog" in settings.PARTS:
    from auditlog.registry import auditlog

    auditlog.register(Item)
