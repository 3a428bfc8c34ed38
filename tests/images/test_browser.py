"""Pictures in a browser: sent, followed while the worker is at them, refused, and shown."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import Group
from playwright.sync_api import expect

from accounts.models import User
from images.models import Picture
from tests.images import pictures
from tests.live import LivePlatform

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.browser]

PASSWORD = "right-horse-9"


@pytest.fixture
def logged_in(live_platform: LivePlatform, open_page: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that opens the page of pictures as a reader."""
    user = User.objects.create_user("reader", password=PASSWORD)
    user.groups.set(Group.objects.filter(name="reader"))

    def log_in(**options: Any) -> Any:
        page = open_page(**options)
        page.goto("/accounts/login/?next=/images/")
        page.get_by_label("Username").fill("reader")
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("main").get_by_role("button", name="Log in").click()
        page.wait_for_url("**/images/")
        return page

    return log_in


@pytest.fixture
def chosen(tmp_path: Path) -> list[Path]:
    """Give three files: a photo, one that is refused at once, and one that only a decoder finds broken."""
    contents = {
        "sea.jpg": pictures.photo((1600, 1200), exif=pictures.exif()),
        "evil.gif": pictures.picture("GIF") + pictures.PAGE,
        "small.png": pictures.png_claiming(400, 400),
    }
    for name, data in contents.items():
        (tmp_path / name).write_bytes(data)
    return [tmp_path / name for name in contents]


def test_pictures_are_sent_and_followed_to_their_end(logged_in: Callable[..., Any], chosen: list[Path]) -> None:
    page = logged_in()
    page.get_by_label("Choose pictures").set_input_files(chosen)
    page.get_by_label("What do they show?").fill("The sea")
    page.get_by_role("button", name="Upload").click()
    expect(page.get_by_role("alert")).to_contain_text("evil.gif: after the image's end there are 38 bytes")
    small = page.get_by_role("listitem").filter(has=page.get_by_role("heading", name="small.png"))
    expect(small).to_contain_text("Refused it's broken")
    sea = page.get_by_role("listitem").filter(has=page.get_by_role("heading", name="sea.jpg"))
    expect(sea).to_contain_text("1600 \u00d7 1200")
    expect(sea.locator("img")).to_have_js_property("complete", True)
    assert sea.locator("img").evaluate("image => image.naturalWidth") > 0
    assert sea.locator("img").get_attribute("srcset").count(".webp ") == 3
    assert page.locator("[data-busy]").count() == 0
    sea.get_by_role("heading").get_by_role("link").click()
    shown = page.get_by_role("img", name="The sea")
    expect(shown).to_have_js_property("complete", True)
    assert shown.evaluate("image => image.naturalWidth") > 0


def test_a_picture_is_dropped_or_pasted(logged_in: Callable[..., Any]) -> None:
    page = logged_in(viewport={"width": 390, "height": 800})
    data = list(pictures.picture())
    for kind, target in (("drop", ".drop"), ("paste", "#id_alt")):
        page.locator(target).evaluate(
            """(element, [kind, data]) => {
                const transfer = new DataTransfer();
                transfer.items.add(new File([new Uint8Array(data)], `${kind}.png`, { type: "image/png" }));
                const options = { bubbles: true, cancelable: true };
                element.dispatchEvent(kind === "drop"
                    ? new DragEvent("drop", { ...options, dataTransfer: transfer })
                    : new ClipboardEvent("paste", { ...options, clipboardData: transfer }));
            }""",
            [kind, data],
        )
        expect(page.get_by_label("What do they show?")).to_be_focused()
        page.get_by_role("button", name="Upload").click()
        card = page.get_by_role("listitem").filter(has=page.get_by_role("heading", name=f"{kind}.png"))
        expect(card).to_contain_text("40 \u00d7 20")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert Picture.objects.count() == 2


def test_without_scripts_the_page_leads_to_the_picture_all_the_same(
    logged_in: Callable[..., Any], chosen: list[Path]
) -> None:
    page = logged_in(java_script_enabled=False)
    page.get_by_label("Choose pictures").set_input_files(chosen[0])
    page.get_by_label("What do they show?").fill("The sea")
    page.get_by_role("button", name="Upload").click()
    page.wait_for_url("**/images/*/")
    expect(page.get_by_role("img", name="The sea")).to_be_visible(timeout=60_000)
