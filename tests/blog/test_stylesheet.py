"""The one style sheet: small, without anything from elsewhere, and readable in both schemes."""

import re
from pathlib import Path

import pytest
from django.conf import settings

CSS = (Path(settings.BASE_DIR) / "static" / "css" / "site.css").read_text()
COLOUR = re.compile(r"(--[a-z-]+): light-dark\((#[0-9a-f]{6}), (#[0-9a-f]{6})\)")
COLOURS = {name: (light, dark) for name, light, dark in COLOUR.findall(CSS)}


def luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize(
    ("text", "ground"),
    [
        *((text, ground) for text in ("--ink", "--muted", "--accent", "--bad") for ground in ("--paper", "--surface")),
        *((f"--{state}", f"--{state}-soft") for state in ("ok", "warn", "bad", "info")),
        ("--muted", "--accent-soft"),
        ("--accent", "--accent-soft"),
        ("--accent-ink", "--accent"),
        ("--ink", "--line"),
        ("--muted", "--code-paper"),
        ("--diff-old-text", "--bad-soft"),
        ("--diff-new-text", "--ok-soft"),
    ],
)
def test_text_stands_out_from_its_ground(text: str, ground: str, scheme: int) -> None:
    assert contrast(COLOURS[text][scheme], COLOURS[ground][scheme]) >= 4.5


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_borders_of_fields_can_be_seen(scheme: int) -> None:
    for ground in ("--paper", "--surface"):
        assert contrast(COLOURS["--line-strong"][scheme], COLOURS[ground][scheme]) >= 3


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_coloured_code_can_be_read(scheme: int) -> None:
    tokens = re.findall(r"^\.prose :is\(.*?color: light-dark\((#[0-9a-f]{6}), (#[0-9a-f]{6})\)", CSS, re.M)
    assert len(tokens) == 6
    for pair in tokens:
        assert contrast(pair[scheme], COLOURS["--code-paper"][scheme]) >= 4.5


def test_it_is_small_and_loads_nothing() -> None:
    assert len(CSS.encode()) <= 25_000
    assert "@import" not in CSS
    assert "url(" not in CSS
