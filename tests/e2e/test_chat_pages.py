"""The chat's pages in a real browser: reading back, who is there, what is unread, by keyboard, on a phone."""

from typing import Any

import pytest
from django.contrib.auth.models import Group
from django.contrib.sessions.models import Session
from playwright.sync_api import expect

from accounts.models import User
from chat import actions
from chat.models import Message, ReadMark, Room, RoomEvent
from tests.conftest import WaitUntil
from tests.e2e.chatting import OpenPage, messages, say, wait_for_connection, words
from tests.e2e.test_one_comment import PASSWORD, log_in
from tests.live import LivePlatform

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.browser]
ROOM = "/chat/a-room/"


@pytest.fixture
def people(live_platform: LivePlatform) -> dict[str, User]:
    made = {name: User.objects.create_user(name, password=PASSWORD) for name in ("ann", "bob", "moderator")}
    made["moderator"].groups.add(Group.objects.get(name="moderator"))
    return made


@pytest.fixture
def room(people: dict[str, User]) -> Room:
    return actions.open_room("a-room", name="A room", topic="Tests", actor=None)


def enter(page: Any, name: str) -> Any:
    log_in(page, name, ROOM)
    wait_for_connection(page)
    return page


def fill(room: Room, author: User, count: int) -> None:
    """Put many messages into a room, as if they had been said long ago."""
    first = room.last_sequence + 1
    Message.objects.bulk_create(
        Message(room=room, sequence=number, version=number, author=author, body=f"number {number}")
        for number in range(first, first + count)
    )
    Room.objects.filter(pk=room.pk).update(last_sequence=first + count - 1)


def test_earlier_messages_come_by_scrolling_up_and_nothing_jumps(
    open_page: OpenPage, room: Room, people: dict[str, User]
) -> None:
    fill(room, people["bob"], 140)
    page = enter(open_page(), "ann")
    expect(messages(page)).to_have_count(50)
    log = page.get_by_role("log")
    # One step into what loads the earlier ones, looked at before they can come: what is in sight stays where it is.
    top = log.evaluate(
        """log => {
            log.scrollTop = 300;
            return log.querySelector('[data-sequence="97"]').getBoundingClientRect().y;
        }"""
    )
    expect(messages(page)).to_have_count(100)
    assert abs(page.locator('[data-sequence="97"]').bounding_box()["y"] - top) < 1
    log.evaluate("log => { log.scrollTop = 0 }")
    expect(messages(page)).to_have_count(140)
    assert words(page) == [f"number {number}" for number in range(1, 141)]
    expect(page.locator("[data-chat-earlier]")).to_be_hidden()
    # What is said meanwhile doesn't pull anybody down; a button leads there.
    scrolled = log.evaluate("log => log.scrollTop")
    actions.send_message(Room.objects.get(pk=room.pk), actor=people["bob"], body="news")
    expect(page.get_by_role("button", name="New messages below")).to_be_visible()
    assert log.evaluate("log => log.scrollTop") == scrolled
    page.get_by_role("button", name="New messages below").click()
    expect(messages(page).last).to_be_in_viewport()


def test_a_page_that_is_open_for_days_keeps_the_last_messages_alone(
    open_page: OpenPage, room: Room, people: dict[str, User]
) -> None:
    page = enter(open_page(), "ann")
    page.context.set_offline(True)
    expect(page.locator("[data-chat-state]")).to_have_attribute("data-chat-state", "offline")
    fill(room, people["bob"], 420)
    RoomEvent.objects.bulk_create(
        RoomEvent(room=room, sequence=message.sequence, kind="message.created", message=message)
        for message in room.messages.all()
    )
    page.context.set_offline(False)
    expect(messages(page).last).to_contain_text("number 420")
    expect(messages(page).last).to_be_in_viewport()
    expect(messages(page)).to_have_count(200)
    page.get_by_role("log").evaluate("log => { log.scrollTop = 0 }")
    expect(page.get_by_text("number 171", exact=True)).to_be_attached()
    said = words(page)
    assert said == [f"number {number}" for number in range(421 - len(said), 421)]


def test_it_is_seen_who_is_there_and_who_types(open_page: OpenPage, room: Room, people: dict[str, User]) -> None:
    ann, bob = enter(open_page(), "ann"), enter(open_page(), "bob")
    second = bob.context.new_page()
    second.goto(ROOM)
    here = ann.locator("[data-chat-here] summary")
    expect(here).to_have_text("2 here")
    here.click()
    expect(ann.locator("[data-chat-here] li")).to_have_text(["ann", "bob"])
    bob.get_by_role("textbox", name="Message to").press_sequentially("Hm")
    expect(ann.get_by_text("bob is typing…")).to_be_visible()
    say(bob, "Hm.")
    expect(messages(ann)).to_have_count(1)
    expect(ann.get_by_text("bob is typing…")).to_be_hidden()
    second.close()
    bob.close()
    expect(here).to_have_text("1 here", timeout=60_000)


def test_what_is_unread_is_the_same_in_all_tabs(
    open_page: OpenPage, room: Room, people: dict[str, User], wait_until: WaitUntil
) -> None:
    ann = people["ann"]
    other = actions.open_room("other", name="Other", actor=None)
    for each in (room, other):
        actions.join_room(each, actor=ann)
    page = open_page()
    page.context.route("**/api/chat/unread/", lambda route: route.abort())  # what is told is enough
    log_in(page, "ann", "/chat/other/")
    wait_for_connection(page)
    count = page.locator('.chat-rooms [data-room-unread="a-room"]')
    expect(count).to_be_hidden()
    actions.send_message(room, actor=people["bob"], body="one")
    actions.send_message(room, actor=people["bob"], body="two for @ann")
    expect(count).to_have_text("@ 2 unread, 1 of them to you")
    rooms = page.context.new_page()
    rooms.goto("/chat/")
    expect(rooms.locator('[data-room-unread="a-room"]')).to_have_text("@ 2 unread, 1 of them to you")
    # Read in one tab, it's read in all, at once.
    second = page.context.new_page()
    second.goto(ROOM)
    expect(count).to_be_hidden()
    wait_until(lambda: ReadMark.objects.filter(user=ann, room=room, sequence=3).exists())
    second.close()
    expect(rooms.locator('[data-room-unread="a-room"]')).to_be_hidden()


def test_a_draft_is_kept_and_gone_once_it_is_sent(open_page: OpenPage, room: Room, people: dict[str, User]) -> None:
    page = enter(open_page(), "ann")
    field = page.get_by_role("textbox", name="Message to")
    field.fill("not yet said")
    page.goto("/chat/")
    page.goto(ROOM)
    expect(field).to_have_value("not yet said")
    field.press("Enter")
    expect(messages(page)).to_have_count(1)
    page.reload()
    wait_for_connection(page)
    expect(field).to_have_value("")


def kept(page: Any) -> int:
    """Return how much of the chat the browser keeps."""
    count: int = page.evaluate("Object.keys(localStorage).filter(name => name.startsWith('chat:')).length")
    return count


def test_a_logout_asks_about_drafts_and_leaves_nothing_in_the_browser(
    open_page: OpenPage, room: Room, people: dict[str, User]
) -> None:
    room_page = enter(open_page(), "ann")
    room_page.get_by_role("textbox", name="Message to").fill("between us")
    page = room_page.context.new_page()
    page.goto("/chat/")
    menu = page.locator("summary", has_text="your account")
    menu.click()
    page.get_by_role("button", name="Log out").click()
    dialog = page.get_by_role("dialog", name="Log out and lose what isn't sent?")
    expect(dialog).to_contain_text("keeps 1 draft.")
    dialog.get_by_role("button", name="Stay").click()
    expect(dialog).to_have_count(0)
    assert kept(page) == 1
    menu.click()
    page.get_by_role("button", name="Log out").click()
    dialog.get_by_role("button", name="Log out").click()
    expect(page.get_by_role("link", name="Log in")).to_be_visible()
    assert kept(page) == 0
    room_page.wait_for_url("**/accounts/login/**")  # what was written there isn't left on the screen either


def test_what_was_not_sent_is_found_again_by_its_author_alone(
    open_page: OpenPage, room: Room, people: dict[str, User]
) -> None:
    page = enter(open_page(), "ann")
    page.get_by_role("textbox", name="Message to").fill("between us")
    Session.objects.all().delete()  # it ended by itself
    page.get_by_role("alert").get_by_role("link", name="Log in").click()
    page.get_by_label("Username").fill("ann")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("main").get_by_role("button", name="Log in").click()
    wait_for_connection(page)
    expect(page.get_by_role("textbox", name="Message to")).to_have_value("between us")
    page.context.clear_cookies()
    page.goto("/")
    assert kept(page) == 1
    enter(page, "bob")
    assert kept(page) == 0


def test_who_is_banned_is_shown_out_of_the_open_page(open_page: OpenPage, room: Room, people: dict[str, User]) -> None:
    page = enter(open_page(), "ann")
    field, moderator = page.get_by_role("textbox", name="Message to"), people["moderator"]
    mute = actions.restrict(people["ann"], room=room, kind="mute", reason="noise", actor=moderator)
    expect(page.get_by_text("You can read here, not write.")).to_be_visible()
    expect(field).to_be_hidden()
    actions.lift(mute, actor=moderator)
    expect(field).to_be_visible()
    actions.restrict(people["ann"], room=room, kind="ban", reason="noise", actor=people["moderator"])
    expect(page.locator("[data-chat-state]")).to_have_text("Disconnected: There is no such room.")
    expect(field).to_be_hidden()
    page.reload()
    expect(page.get_by_role("heading", name="There is nothing here")).to_be_visible()


def test_all_works_by_keyboard_and_is_told_to_who_listens(
    open_page: OpenPage, room: Room, people: dict[str, User]
) -> None:
    actions.send_message(room, actor=people["bob"], body="first")
    second = actions.send_message(room, actor=people["ann"], body="second")
    page = enter(open_page(), "ann")
    expect(page.get_by_role("log", name="Messages in A room")).to_have_attribute("aria-live", "off")
    expect(page.get_by_role("status").filter(has_text="Connected")).to_be_visible()
    field = page.get_by_role("textbox", name="Message to A room")
    page.get_by_role("log").focus()
    page.keyboard.press("ArrowUp")
    expect(page.locator(f"#message-{second.pk}")).to_be_focused()
    page.keyboard.press("ArrowUp")
    expect(messages(page).first).to_be_focused()
    page.keyboard.press("End")
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="React")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Answer with 👍")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="👍, 1 person, you too")).to_be_visible()
    expect(page.locator(f"#message-{second.pk}")).to_be_focused()
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="AM").or_(page.get_by_role("link", name="PM")).last).to_be_focused()
    page.locator(f"#message-{second.pk}").focus()
    page.keyboard.press("Enter")
    for _ in range(2):
        page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Edit")).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.type(", mended")
    page.keyboard.press("Enter")
    expect(messages(page).last.locator(".chat-body")).to_have_text("second, mended")
    expect(messages(page).last).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.press("Escape")
    page.keyboard.press("Home")
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Reply")).to_be_focused()
    page.keyboard.press("Enter")
    expect(field).to_be_focused()
    expect(page.get_by_text("Answering bob: first")).to_be_visible()
    page.keyboard.type("third")
    page.keyboard.press("Enter")
    expect(messages(page)).to_have_count(3)
    expect(messages(page).last.locator(".chat-reply")).to_contain_text("bob: first")
    actions.send_message(Room.objects.get(pk=room.pk), actor=people["bob"], body="**fourth**")
    expect(page.locator("[data-chat-announcer]")).to_have_text("bob: fourth")


def test_people_are_suggested_while_a_name_is_typed(open_page: OpenPage, room: Room, people: dict[str, User]) -> None:
    for username, name in (("bea", "Bea Newman"), ("bert", "Bert")):
        User.objects.create_user(username, display_name=name, password=PASSWORD)
    actions.join_room(room, actor=User.objects.get(username="bert"))
    page = enter(open_page(), "ann")
    field = page.locator("#chat-body")
    options = page.get_by_role("listbox", name="People to name").get_by_role("option")
    field.press_sequentially("Hello @b")
    expect(options).to_have_text(["BBert @bert", "BBea Newman @bea", "Bbob @bob"])
    expect(field).to_have_role("combobox")
    expect(page.locator("[data-chat-announcer]")).to_contain_text("3 people to choose from")
    chosen = page.locator("[role=option][aria-selected=true]")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    expect(chosen).to_contain_text("bob")
    expect(field).to_have_attribute("aria-activedescendant", str(chosen.get_attribute("id")))
    page.keyboard.press("ArrowDown")
    expect(chosen).to_contain_text("Bert")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Enter")
    expect(field).to_have_value("Hello @bob ")
    expect(options).to_have_count(0)
    expect(field).to_have_role("textbox")
    field.press_sequentially("and @be")
    expect(options).to_have_count(2)
    page.keyboard.press("Escape")
    expect(options).to_have_count(0)
    field.press_sequentially("a")
    expect(chosen).to_contain_text("Bea")
    page.keyboard.press("Tab")
    expect(field).to_have_value("Hello @bob and @bea ")
    expect(field).to_be_focused()
    field.press_sequentially("write to me@be")  # an address isn't a name
    page.keyboard.press("Enter")
    expect(messages(page).locator(".mention")).to_have_text(["@bob", "@bea"])
    phone = open_page(viewport={"width": 320, "height": 640}, has_touch=True, is_mobile=True)
    enter(phone, "bob")
    phone.locator("#chat-body").press_sequentially("@an")
    phone.get_by_role("option").tap()
    expect(phone.locator("#chat-body")).to_have_value("@ann ")
    expect(phone.locator("#chat-body")).to_be_focused()
    assert phone.evaluate("document.documentElement.scrollWidth") <= 320


def test_browser_notifications_come_by_choice_alone(open_page: OpenPage, room: Room, people: dict[str, User]) -> None:
    page = open_page(permissions=["notifications"])
    page.add_init_script(
        """window.shown = [];
        const Real = window.Notification;
        window.Notification = class extends EventTarget {
          constructor(title, options) { super(); window.shown.push([title, options.body]); }
          static get permission() { return Real.permission; }
          static requestPermission() { return Promise.resolve("granted"); }
          close() {}
        };
        let isHidden = false;
        Object.defineProperty(document, "hidden", { get: () => isHidden });
        window.hide = (value) => { isHidden = value; };"""
    )
    enter(page, "ann")
    page.evaluate("window.hide(true)")
    actions.send_message(room, actor=people["bob"], body="unasked")
    expect(messages(page)).to_have_count(1)
    page.evaluate("window.hide(false)")
    page.get_by_role("button", name="Notify me").click()
    expect(page.get_by_role("button", name="Notifying you")).to_have_attribute("aria-pressed", "true")
    page.evaluate("window.hide(true)")
    actions.send_message(room, actor=people["bob"], body="asked")
    expect(messages(page)).to_have_count(2)
    assert page.evaluate("window.shown") == [["bob in A room", "asked"]]
    expect(page).to_have_title("(2) A room · Glasshouse")


def test_no_page_of_the_chat_is_wider_than_a_phone(open_page: OpenPage, room: Room, people: dict[str, User]) -> None:
    ann, bob = people["ann"], people["bob"]
    actions.join_room(room, actor=ann)
    said = actions.send_message(
        room, actor=bob, body=f"{'w' * 300} https://example.org/{'x' * 200}\n\n```\n{'y' * 300}\n```"
    )
    actions.report_message(said, actor=ann, reason="z" * 300)
    direct = actions.open_direct(bob, actor=people["moderator"])
    page = open_page(viewport={"width": 320, "height": 640})
    log_in(page, "moderator", "/chat/")
    paths = ["", "-/new/", "-/moderation/", "-/search/?q=example", "a-room/", "a-room/about/", f"{direct.slug}/"]
    for path in (*paths, f"a-room/messages/{said.pk}/", "a-room/?before=2"):
        assert page.goto(f"/chat/{path}").status == 200, path
        assert page.evaluate("document.documentElement.scrollWidth") <= 320, path
    page.goto(ROOM)
    wait_for_connection(page)
    messages(page).first.click(position={"x": 60, "y": 12})
    page.get_by_role("button", name="Pin", exact=True).click()
    expect(page.locator("[data-chat-pins] summary")).to_have_text("1 pinned")
    say(page, "from a phone")
    expect(page.locator(".pending")).to_have_count(0)
    for part in (page.get_by_role("button", name="Send"), page.get_by_role("textbox", name="Message to")):
        expect(part).to_be_in_viewport()
    assert page.evaluate("document.documentElement.scrollWidth") <= 320


def test_without_a_script_one_reads_says_changes_and_moderates(
    open_page: OpenPage, room: Room, people: dict[str, User]
) -> None:
    ann = open_page(java_script_enabled=False)
    log_in(ann, "ann", ROOM)
    ann.get_by_role("textbox", name="Message to").fill("Hello, **all**")
    ann.get_by_role("button", name="Send").click()
    expect(ann.locator(".chat-body strong")).to_have_text("all")
    ann.locator(".chat-time").click()
    ann.get_by_label("Message", exact=True).fill("Hello, everybody")
    ann.get_by_role("button", name="Save").click()
    expect(ann.locator(".chat-body")).to_have_text("Hello, everybody")
    bob = open_page(java_script_enabled=False)
    log_in(bob, "bob", ROOM)
    bob.locator(".chat-time").click()
    bob.get_by_role("button", name="Answer with 👍").click()
    expect(bob.locator(".chat-sign")).to_have_text("👍 1")
    bob.get_by_text("Report it to the moderators").click()
    bob.get_by_label("What is wrong with it?").fill("Too friendly")
    bob.get_by_role("button", name="Report").click()
    expect(bob.get_by_text("Thank you")).to_be_visible()
    moderator = open_page(java_script_enabled=False)
    log_in(moderator, "moderator", "/chat/-/moderation/")
    expect(moderator.get_by_text("Too friendly")).to_be_visible()
    moderator.get_by_role("button", name="Delete", exact=True).click()
    expect(moderator.get_by_text("No report waits.")).to_be_visible()
    ann.goto(ROOM)
    expect(ann.locator(".chat-body")).to_have_text("deleted")
