"""Of a cache's keys their form is told alone, and of few forms."""

from collections.abc import Iterator
from typing import Any

import pytest

from telemetry.caches import key_templates
from telemetry.caches.key_templates import template_of


@pytest.fixture
def fresh_templates(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(key_templates, "_templates", set())
    monkeypatch.setattr(key_templates, "_words", {})
    key_templates._template.cache_clear()
    yield
    key_templates._template.cache_clear()


@pytest.mark.usefixtures("fresh_templates")
@pytest.mark.parametrize(
    ("key", "template"),
    [
        ("blog:post:12", "blog:post:*"),
        ("blog:post:12:comments", "blog:post:*:comments"),
        ("template.cache.sidebar.d41d8cd98f00b204e9800998ecf8427e", "template.cache.sidebar.*"),
        (
            "views.decorators.cache.cache_page..GET.0cc175b9c0f1b6a831c399e269772661.9d5ed678fe57bcca",
            "views.decorators.cache.cache_page..GET.*",
        ),
        ("django.contrib.sessions.cachejx2k9q8w7e6r5t4y3u2i1o0p9a8s7d6f", "django.contrib.sessions.*"),
        ("order:550e8400-e29b-41d4-a716-446655440000", "order:*"),
        ("order-550e8400-e29b-41d4-a716-446655440000", "order-*"),
        ("post_42", "post_*"),
        ("rate:10.0.0.1:login", "rate:*:login"),
        ("maintenance", "maintenance"),
        ("login:john.smith@example.com", "login:*"),
        ("login:john.smith@example.com:12", "login:*"),
        ("user:alice", "user:*"),
        ("user:alice:posts", "user:*"),
        ("user_alice", "user_*"),
        ("user:Alice:12", "user:*"),
        ("user:Jürgen:12", "user:*"),
        ("token:deadbeef", "token:*"),
        ("token:deadbeef:12", "token:*"),
        ("https://example.com/a?b=c", "https://example.com/*"),
        ("a b", "*"),
        ("", ""),
        (12, "*"),
        (b"abc", "*"),
        (None, "*"),
    ],
)
def test_of_a_key_only_fixed_words_are_told(key: Any, template: str) -> None:
    assert template_of(key) == template


@pytest.mark.usefixtures("fresh_templates")
def test_there_are_two_hundred_templates_at_most() -> None:
    words = [f"{first}{second}" for first in "abcdefghijklmnopqrst" for second in "abcdefghijklmnopqrst"]
    templates = {template_of(word) for word in words}

    assert len(templates) == 201
    assert "_OTHER" in templates
    assert template_of("aa") == "aa"


@pytest.mark.usefixtures("fresh_templates")
def test_many_words_in_one_place_are_values() -> None:
    words = [f"{first}{second}" for first in "abcdefghij" for second in "abcdefghij"]
    templates = {template_of(f"profile:{word}:1") for word in words}

    assert len(templates) == 21
    assert "profile:*" in templates


@pytest.mark.usefixtures("fresh_templates")
def test_a_key_of_a_megabyte_is_cut() -> None:
    assert len(template_of("a1:" * 400_000)) < 250
