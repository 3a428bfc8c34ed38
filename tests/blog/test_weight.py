"""A post's page is light: what it loads beside its own text fits into 50 KB."""

import re
from pathlib import Path

import pytest
from django.conf import settings
from django.test import Client

from accounts.models import User
from blog.models import Post

pytestmark = pytest.mark.django_db
_STATIC = Path(settings.BASE_DIR) / "static"
_LOADED = re.compile(r'(?:src|href)="/static/([^"]+\.(?:js|css))"')
_IMPORTED = re.compile(r'from "(\./[^"]+)"|import\("(\./[^"]+)"\)')


def with_imports(names: set[str]) -> set[str]:
    found, waiting = set(), list(names)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            text = (_STATIC / name).read_text()
            folder = name.rpartition("/")[0]
            waiting += [f"{folder}/{(one or other)[2:]}" for one, other in _IMPORTED.findall(text)]
    return found


def test_style_and_script_of_a_post_are_50_kb_at_most(client: Client, post: Post, moderator: User) -> None:
    client.force_login(moderator)  # who sees most tools
    page = client.get(post.get_absolute_url()).content.decode()
    loaded = with_imports(set(_LOADED.findall(page)))
    assert {"css/site.css", "js/site.js", "js/notifications.js", "js/socket.js"} <= loaded
    assert sum((_STATIC / name).stat().st_size for name in loaded) <= 50_000
