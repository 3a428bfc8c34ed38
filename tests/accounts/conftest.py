from collections.abc import Callable

import pytest
from django.db.models import Max, QuerySet

from audit.models import Event


@pytest.fixture
def new_events(db: None) -> Callable[[str], QuerySet[Event]]:
    """Return a function that gives this test's events of one action, oldest first.

    Denials are committed on a connection of their own, so those of earlier tests are still there.
    """
    last = Event.objects.aggregate(last=Max("id"))["last"] or 0
    return lambda action: Event.objects.filter(id__gt=last, action=action).order_by("id")
