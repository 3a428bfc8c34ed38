"""What the stories of the chat in a browser have in common."""

from collections.abc import Callable
from typing import Any

from playwright.sync_api import expect

OpenPage = Callable[..., Any]


def say(page: Any, text: str) -> None:
    """Write a message into the open room, and send it."""
    field = page.get_by_role("textbox", name="Message to")
    field.fill(text)
    field.press("Enter")


def messages(page: Any) -> Any:
    """Return the messages that the page shows as stored."""
    return page.locator(".chat-message[data-message]")


def words(page: Any) -> list[str]:
    """Return what the stored messages say, as they stand on the page."""
    found: list[str] = messages(page).locator(".chat-body").all_inner_texts()
    return found


def wait_for_connection(page: Any) -> None:
    """Wait until the room's socket said hello."""
    expect(page.locator("[data-chat-state]")).to_have_text("Connected")


def act(page: Any, text: str, tool: str) -> None:
    """Do something with the message that says `text`, by the mouse."""
    item = messages(page).filter(has=page.locator(".chat-body", has_text=text))
    item.hover()
    item.get_by_role("group", name="What you can do").get_by_text(tool, exact=True).click()
