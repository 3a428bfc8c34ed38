"""The demo blog: there at once, and no more of it the second time."""

import json
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db.models import Max

from audit.models import Event
from blog.models import Comment, Post

pytestmark = pytest.mark.django_db


def test_it_seeds_once(settings: Any) -> None:
    settings.DEMO_PASSWORD = "demo"
    out = StringIO()
    call_command("seed_demo", stdout=out)
    assert out.getvalue() == "7 demo accounts, 12 posts (12 new).\n"
    comments, last = Comment.objects.count(), Event.objects.aggregate(last=Max("id"))["last"]
    assert comments >= 15
    assert Comment.objects.values("author").distinct().count() >= 5
    again = StringIO()
    call_command("seed_demo", format="json", stdout=again)
    assert json.loads(again.getvalue()) == {"accounts": 7, "posts": 12, "created": 0}
    assert Post.objects.count() == 12
    assert Comment.objects.count() == comments
    assert Event.objects.aggregate(last=Max("id"))["last"] == last


def test_it_is_for_development_alone(settings: Any) -> None:
    settings.DEMO_PASSWORD = None
    with pytest.raises(CommandError, match="DEMO_PASSWORD"):
        call_command("seed_demo")
    assert not Post.objects.exists()
