"""The editor in a browser: what is typed is kept, two people don't lose each other's words, pictures get in."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import Group
from playwright.sync_api import expect

from accounts.models import User
from blog import actions
from blog.models import Post
from tests.images import pictures
from tests.live import LivePlatform

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.browser]
PASSWORD = "right-horse-9"
OpenEditor = Callable[..., Any]


@pytest.fixture
def writers(live_platform: LivePlatform) -> list[User]:
    made = [User.objects.create_user(name, password=PASSWORD, display_name=name.title()) for name in ("anna", "otto")]
    for user in made:
        user.groups.set(Group.objects.filter(name="author"))
    return made


@pytest.fixture
def shared(writers: list[User]) -> Post:
    post = actions.create_post(actor=writers[0], title="Ours", body="It begins here.")
    post.coauthors.add(writers[1])
    return post


@pytest.fixture
def open_editor(open_page: Callable[..., Any]) -> OpenEditor:
    """Return a function that opens an editor as a writer, whose page's clock the test moves."""

    def open_one(username: str, path: str, **options: Any) -> Any:
        page = open_page(**options)
        page.goto(f"/accounts/login/?next={path}")
        page.get_by_label("Username").fill(username)
        page.get_by_label("Password").fill(PASSWORD)
        page.clock.install()
        page.get_by_role("main").get_by_role("button", name="Log in").click()
        page.wait_for_url(f"**{path}")
        return page

    return open_one


def type_more(page: Any, words: str) -> None:
    text = page.get_by_label("Text")
    text.press("ControlOrMeta+End")
    text.press_sequentially(words)


def test_a_draft_is_saved_while_it_is_typed_and_again_by_its_button(open_editor: OpenEditor, shared: Post) -> None:
    page = open_editor("anna", "/blog/ours/edit/")
    type_more(page, " And goes on.")
    page.clock.fast_forward(3_500)
    expect(page.locator("[data-saved]")).to_contain_text("Saved as you typed")
    shared.refresh_from_db()
    assert shared.body_markdown == "It begins here. And goes on."
    type_more(page, " To its end.")
    page.get_by_role("button", name="Save draft").click()
    page.wait_for_url("**/blog/ours/")
    shared.refresh_from_db()
    assert shared.body_markdown == "It begins here. And goes on. To its end."


def test_a_new_post_survives_a_page_that_is_closed(open_editor: OpenEditor, writers: list[User]) -> None:
    page = open_editor("anna", "/blog/new/")
    page.get_by_label("Title").fill("Not lost")
    page.clock.fast_forward(3_500)
    expect(page.locator("[data-saved]")).to_contain_text("nobody else sees it")
    page.goto("/blog/new/")
    page.get_by_role("link", name="Go on with it").click()
    expect(page.get_by_label("Title")).to_have_value("Not lost")


def test_two_people_are_told_of_each_other_and_lose_nothing(open_editor: OpenEditor, shared: Post) -> None:
    anna = open_editor("anna", "/blog/ours/edit/")
    otto = open_editor("otto", "/blog/ours/edit/")
    expect(otto.locator("[data-others]")).to_contain_text("Anna has this post open")
    anna.clock.fast_forward(15_500)
    expect(anna.locator("[data-others]")).to_contain_text("Otto has this post open")

    type_more(otto, " Otto's words.")
    otto.get_by_role("button", name="Save draft").click()
    otto.wait_for_url("**/blog/ours/")
    anna.clock.fast_forward(15_500)
    expect(anna.locator("[data-changed]")).to_be_visible()
    expect(anna.locator("[data-others]")).to_be_hidden()
    type_more(anna, " Anna's words.")
    anna.get_by_role("button", name="Save draft").click()
    conflict = anna.get_by_role("alert")
    expect(conflict).to_contain_text("Otto's words")
    expect(anna.get_by_label("Text")).to_have_value("It begins here. Anna's words.")
    type_more(anna, " Otto's words.")
    anna.get_by_role("button", name="Save draft").click()
    anna.wait_for_url("**/blog/ours/")
    shared.refresh_from_db()
    assert shared.body_markdown == "It begins here. Anna's words. Otto's words."


def test_a_preview_opens_beside_the_text_and_follows_it(open_editor: OpenEditor, shared: Post) -> None:
    page = open_editor("anna", "/blog/ours/edit/", viewport={"width": 390, "height": 844})
    page.get_by_role("button", name="Preview").click()
    preview = page.get_by_role("region", name="Preview")
    expect(preview).to_contain_text("It begins here.")
    type_more(page, " **Loud.**")
    page.clock.fast_forward(700)
    expect(preview.locator("strong")).to_have_text("Loud.")
    page.get_by_role("button", name="Preview").click()
    expect(preview).to_be_hidden()


def test_a_time_is_told_in_the_writers_own_zone(open_editor: OpenEditor, shared: Post) -> None:
    page = open_editor("anna", "/blog/ours/edit/", timezone_id="Europe/Berlin", locale="en-GB")
    page.get_by_label("Publish at (UTC)").fill("2030-01-31T09:00")
    expect(page.get_by_text("Where you are")).to_contain_text("31 Jan 2030, 10:00")


def test_a_picture_gets_into_the_text_once_it_is_ready(open_editor: OpenEditor, shared: Post, tmp_path: Path) -> None:
    page = open_editor("anna", "/blog/ours/edit/")
    page.clock.resume()
    (tmp_path / "the sea.png").write_bytes(pictures.picture("PNG"))
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Add a picture").click()
    chooser.value.set_files([tmp_path / "the sea.png"])
    expect(page.locator("[data-told]")).to_contain_text("is in the text", timeout=60_000)
    assert "![the sea](/media/" in page.get_by_label("Text").input_value()
    page.get_by_role("button", name="Save draft").click()
    expect(page.get_by_role("img", name="the sea")).to_be_visible()


def test_a_picture_that_is_none_leaves_the_text_as_it_was(
    open_editor: OpenEditor, shared: Post, tmp_path: Path
) -> None:
    page = open_editor("anna", "/blog/ours/edit/")
    page.clock.resume()
    (tmp_path / "words.png").write_text("no picture")
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Add a picture").click()
    chooser.value.set_files([tmp_path / "words.png"])
    expect(page.locator("[data-told]")).to_contain_text("isn't in the text", timeout=60_000)
    expect(page.get_by_label("Text")).to_have_value("It begins here.")
