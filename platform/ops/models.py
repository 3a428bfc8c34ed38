"""What operators decide about the platform as a whole."""

from django.db import models
from django.db.models import F, Q

import audit

LONGEST_MESSAGE = 500


@audit.track()
class Maintenance(models.Model):
    """Whether the platform is closed while somebody works on it: the one row tells the last such time."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1, editable=False)
    is_on = models.BooleanField()
    message = models.CharField(max_length=LONGEST_MESSAGE, blank=True, help_text="For whoever is turned away.")
    begun_at = models.DateTimeField()
    ends_at = models.DateTimeField(null=True, blank=True, help_text="It ends then by itself; empty: by hand alone.")

    class Meta:
        verbose_name = verbose_name_plural = "maintenance"
        default_permissions = ("view", "change")
        constraints = [
            models.CheckConstraint(condition=Q(id=1), name="ops_maintenance_one_row"),
            models.CheckConstraint(
                condition=Q(ends_at__isnull=True) | Q(ends_at__gt=F("begun_at")), name="ops_maintenance_ends_later"
            ),
        ]

    def __str__(self) -> str:
        return "on" if self.is_on else "off"
