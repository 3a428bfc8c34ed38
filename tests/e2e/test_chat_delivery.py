"""Messages in a real browser: each once and in order, whatever is lost on the way."""

import re
from io import BytesIO
from random import Random
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from PIL import Image
from playwright.sync_api import expect

from accounts.models import User
from chat import actions
from chat.models import Room
from tests.conftest import WaitUntil
from tests.e2e.chatting import OpenPage, act, messages, say, wait_for_connection, words
from tests.e2e.test_one_comment import PASSWORD, log_in
from tests.live import LivePlatform

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.browser]
ROOM = "/chat/a-room/"


@pytest.fixture
def people(live_platform: LivePlatform) -> dict[str, User]:
    return {name: User.objects.create_user(name, password=PASSWORD) for name in ("ann", "bob")}


@pytest.fixture
def room(people: dict[str, User]) -> Room:
    return actions.open_room("a-room", name="A room", topic="Tests", actor=None)


def enter(page: Any, name: str) -> Any:
    log_in(page, name, ROOM)
    wait_for_connection(page)
    return page


def test_what_is_said_offline_waits_and_arrives_once_and_in_order(
    open_page: OpenPage, room: Room, people: dict[str, User]
) -> None:
    ann, bob = enter(open_page(), "ann"), enter(open_page(), "bob")
    ann.context.set_offline(True)
    expect(ann.locator("[data-chat-state]")).to_have_attribute("data-chat-state", "offline")
    for text in ("one", "two", "three"):
        say(ann, text)
    expect(ann.locator(".pending")).to_have_count(3)
    expect(ann.locator(".pending").first).to_contain_text("waits for the connection")
    expect(ann.locator("[data-chat-state]")).to_contain_text("3 messages wait")
    assert room.messages.count() == 0
    ann.context.set_offline(False)
    for page in (ann, bob):
        expect(messages(page)).to_have_count(3)
        assert words(page) == ["one", "two", "three"]
    expect(ann.locator(".pending")).to_have_count(0)
    assert room.messages.count() == 3


def test_what_waits_survives_a_reload_and_a_second_tab_and_is_stored_once(
    open_page: OpenPage, room: Room, people: dict[str, User]
) -> None:
    ann = enter(open_page(), "ann")
    # A server that never answers: the message is on its way when the page goes.
    ann.route_web_socket(re.compile(r"/ws/chat/"), lambda socket: socket.on_message(lambda message: None))
    ann.reload()
    say(ann, "kept")
    expect(ann.locator(".pending")).to_have_count(1)
    second = ann.context.new_page()
    second.goto(ROOM)
    expect(messages(second).filter(has_text="kept")).to_have_count(1)
    expect(second.locator(".pending")).to_have_count(0)
    third = ann.context.new_page()
    third.goto(ROOM)
    wait_for_connection(third)
    assert words(third) == ["kept"]
    assert room.messages.count() == 1


def test_a_message_whose_answer_is_lost_is_sent_again_and_shown_once(
    open_page: OpenPage, room: Room, people: dict[str, User]
) -> None:
    page = open_page()
    lost: list[str] = []

    def lose_the_first_answer(socket: Any) -> None:
        server = socket.connect_to_server()

        def to_page(message: str) -> None:
            is_about_it = '"sent"' in message or '"message.created"' in message
            if is_about_it and len(lost) < 2:
                lost.append(message)
                if len(lost) == 2:
                    socket.close(code=1012, reason="gone")
            else:
                socket.send(message)

        server.on_message(to_page)

    page.route_web_socket(re.compile(r"/ws/chat/"), lose_the_first_answer)
    enter(page, "ann")
    say(page, "once")
    expect(page.locator(".pending")).to_have_count(0)
    expect(messages(page)).to_have_count(1)
    assert len(lost) == 2
    assert room.messages.count() == 1


def test_a_gap_in_the_pushes_is_fetched(open_page: OpenPage, room: Room, people: dict[str, User]) -> None:
    page = open_page()
    asked: list[str] = []

    def lose_the_second(socket: Any) -> None:
        server = socket.connect_to_server()
        server.on_message(lambda message: None if '"two"' in message and not asked else socket.send(message))

        def to_server(message: str) -> None:
            if '"fetch"' in message:
                asked.append(message)
            server.send(message)

        socket.on_message(to_server)

    page.route_web_socket(re.compile(r"/ws/chat/"), lose_the_second)
    enter(page, "ann")
    for text in ("one", "two", "three"):
        actions.send_message(room, actor=people["bob"], body=text)
    expect(messages(page)).to_have_count(3)
    assert words(page) == ["one", "two", "three"]
    assert asked == ['{"type":"fetch","after":1}']


def test_edits_and_deletions_of_the_time_away_are_seen_after_it(
    open_page: OpenPage, room: Room, people: dict[str, User]
) -> None:
    bob = people["bob"]
    first = actions.send_message(room, actor=bob, body="first")
    second = actions.send_message(room, actor=bob, body="second")
    page = enter(open_page(), "ann")
    page.context.set_offline(True)
    expect(page.locator("[data-chat-state]")).to_have_attribute("data-chat-state", "offline")
    actions.edit_message(first, actor=bob, body="first, **mended**")
    actions.delete_message(second, actor=bob)
    actions.send_message(room, actor=bob, body="third")
    page.context.set_offline(False)
    expect(messages(page)).to_have_count(3)
    assert words(page) == ["first, mended", "deleted", "third"]
    expect(messages(page).first.locator("strong", has_text="mended")).to_be_visible()
    expect(messages(page).first).to_contain_text("edited")


def test_whoever_is_too_far_behind_begins_anew_without_a_reload(
    open_page: OpenPage, room: Room, people: dict[str, User]
) -> None:
    actions.send_message(room, actor=people["bob"], body="before")
    page = enter(open_page(), "ann")
    page.get_by_role("textbox", name="Message to").fill("half typed")
    page.context.set_offline(True)
    expect(page.locator("[data-chat-state]")).to_have_attribute("data-chat-state", "offline")
    message = actions.send_message(room, actor=people["bob"], body="after")
    room.events.filter(message=message).delete()  # what isn't kept can't be told
    page.context.set_offline(False)
    expect(messages(page)).to_have_count(2)
    assert words(page) == ["before", "after"]
    expect(page.get_by_role("textbox", name="Message to")).to_have_value("half typed")
    actions.send_message(room, actor=people["bob"], body="live again")
    expect(messages(page)).to_have_count(3)


def test_a_message_that_is_refused_can_be_taken_back(open_page: OpenPage, room: Room, people: dict[str, User]) -> None:
    page = enter(open_page(), "ann")
    page.context.set_offline(True)
    expect(page.locator("[data-chat-state]")).to_have_attribute("data-chat-state", "offline")
    say(page, "too late")
    owner = User.objects.create_superuser("owner", password=PASSWORD)
    actions.archive_room(room, actor=owner, is_archived=True)
    page.context.set_offline(False)
    expect(page.locator(".pending")).to_contain_text("not sent: ")
    expect(page.get_by_text("This room is archived: it can be read")).to_be_visible()
    actions.archive_room(room, actor=owner, is_archived=False)
    expect(page.get_by_role("textbox", name="Message to")).to_be_visible()
    page.get_by_role("button", name="Take it back").click()
    expect(page.get_by_role("textbox", name="Message to")).to_have_value("too late")
    expect(page.locator(".pending")).to_have_count(0)


def test_what_is_too_long_stays_to_be_shortened(open_page: OpenPage, room: Room, people: dict[str, User]) -> None:
    page = enter(open_page(), "ann")
    field = page.get_by_role("textbox", name="Message to")
    say(page, "🙂" * 4_001)
    expect(page.get_by_role("alert")).to_have_text("A message has at most 4,000 characters; this one has 4,001.")
    expect(page.locator(".pending")).to_have_count(0)
    expect(field).to_have_value("🙂" * 4_001)
    say(page, "🙂" * 4_000)
    expect(messages(page)).to_have_count(1)
    expect(page.get_by_role("alert")).to_be_hidden()


def test_names_are_suggested_in_an_edit_too(open_page: OpenPage, room: Room, people: dict[str, User]) -> None:
    page = enter(open_page(), "ann")
    say(page, "Hello")
    expect(messages(page)).to_have_count(1)
    act(page, "Hello", "Edit")
    page.keyboard.type(" @bo")
    expect(page.get_by_role("option")).to_have_text("Bbob @bob")
    page.keyboard.press("Enter")
    page.keyboard.press("Escape")  # nothing is suggested any more: it ends the edit
    expect(page.locator(".chat-edit")).to_have_count(0)
    act(page, "Hello", "Edit")
    page.keyboard.type(" @bob")
    expect(page.get_by_role("option")).to_have_count(1)
    page.keyboard.press("Escape")
    expect(page.locator(".chat-edit")).to_have_count(1)
    page.keyboard.press("Enter")
    expect(messages(page).locator(".mention")).to_have_text("@bob")


def test_what_is_done_with_a_message_is_seen_by_all(
    open_page: OpenPage, room: Room, people: dict[str, User], wait_until: WaitUntil
) -> None:
    ann, bob = enter(open_page(), "ann"), enter(open_page(), "bob")
    say(ann, "Hello @bob, **all** well?")
    expect(bob.locator(".mention.me")).to_have_text("@bob")
    act(bob, "all well?", "Reply")
    say(bob, "Very.")
    expect(ann.locator(".chat-reply")).to_contain_text("ann: Hello @bob, all well?")
    act(bob, "all well?", "React")
    bob.get_by_role("button", name="Answer with 🎉").click()
    expect(ann.get_by_role("button", name="🎉, 1 person")).to_be_visible()
    ann.get_by_role("button", name="🎉, 1 person").click()
    expect(bob.get_by_role("button", name="🎉, 2 people, you too")).to_be_visible()
    act(ann, "all well?", "Edit")
    ann.get_by_role("textbox", name="Your message").fill("Hello, everybody")
    ann.get_by_role("button", name="Save").click()
    expect(messages(bob).first).to_contain_text("Hello, everybody")
    act(ann, "everybody", "Delete")
    ann.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(messages(bob).first.locator(".chat-body")).to_have_text("deleted")
    act(ann, "Very.", "Report")
    ann.get_by_label("What is wrong with it?").fill("Too short")
    ann.get_by_role("dialog").get_by_role("button", name="Report").click()
    expect(ann.get_by_text("Thank you")).to_be_visible()
    report = room.messages.get(body="Very.").reports.get()
    assert (report.reason, report.reporter) == ("Too short", people["ann"])


def test_a_connection_that_says_nothing_is_given_up(open_page: OpenPage, room: Room, people: dict[str, User]) -> None:
    page = open_page()
    connections: list[Any] = []

    def be_silent_at_first(socket: Any) -> None:
        server = socket.connect_to_server()
        connections.append(socket)
        is_silent = len(connections) == 1
        socket.on_message(lambda message: None if is_silent and '"send"' in message else server.send(message))

    page.route_web_socket(re.compile(r"/ws/chat/"), be_silent_at_first)
    page.clock.install()
    enter(page, "ann")
    say(page, "anyone?")
    expect(page.locator(".pending")).to_contain_text("sending…")
    page.clock.fast_forward(11_000)
    expect(messages(page)).to_have_count(1)
    expect(page.locator(".pending")).to_have_count(0)
    assert len(connections) == 2
    assert room.messages.count() == 1


def test_pictures_go_with_a_message(open_page: OpenPage, room: Room, people: dict[str, User]) -> None:
    people["ann"].user_permissions.add(Permission.objects.get(codename="add_picture"))
    picture = BytesIO()
    Image.new("RGB", (600, 400), "teal").save(picture, "PNG")
    ann, bob = enter(open_page(), "ann"), enter(open_page(), "bob")
    expect(bob.get_by_role("button", name="Add pictures")).to_have_count(0)
    with ann.expect_file_chooser() as chooser:
        ann.get_by_role("button", name="Add pictures").click()
    chooser.value.set_files({"name": "A lake.png", "mimeType": "image/png", "buffer": picture.getvalue()})
    expect(ann.get_by_role("status").filter(has_text="A lake.png goes with")).to_be_visible(timeout=60_000)
    expect(ann.get_by_role("list", name="Pictures of your message")).to_contain_text("A lake.png")
    ann.get_by_role("button", name="Send").click()
    for page in (ann, bob):
        image = messages(page).get_by_role("img", name="A lake")
        expect(image).to_be_visible()
        expect(image).to_have_js_property("complete", True)
        assert image.evaluate("image => image.naturalWidth") > 0
    expect(ann.get_by_role("list", name="Pictures of your message")).to_be_hidden()


APPLY = """async ([events, order, snapshot]) => {
  const { createLog } = await import("/static/js/chat/log.js");
  const log = createLog(structuredClone(snapshot));
  const last = events.at(-1).sequence;
  const fetched = (after) => log.receiveFetched({
    after, upto: Math.min(after + 7, last), last_sequence: last,
    events: events.filter(({ sequence }) => sequence > after && sequence <= after + 7),
  });
  let added = 0;
  const take = ({ changes, fetchAfter }) => {
    added += changes.filter(({ kind }) => kind === "added").length;
    return fetchAfter;
  };
  for (const index of order) {
    const fetchAfter = take(log.receive(events[index]));
    if (fetchAfter !== null && index % 3 === 0) take(fetched(fetchAfter)); // other fetches are lost
  }
  for (let after = take(log.hear(last)); after !== null; ) after = take(fetched(after));
  return { have: log.have, added, messages: log.messages(), pins: log.pins().map(({ id }) => id) };
}"""


def test_the_log_ends_the_same_in_whatever_order_its_events_come_or_get_lost(page: Any) -> None:
    source = Random("the log")
    events = _events(source, 60)
    snapshot = {"last_sequence": 0, "messages": [], "pins": []}
    page.goto("/accounts/login/")
    in_order = page.evaluate(APPLY, [events, list(range(60)), snapshot])
    stored: dict[int, dict[str, Any]] = {event["message"]["id"]: event["message"] for event in events}
    assert in_order["messages"] == [stored[number] for number in sorted(stored)]
    assert in_order["added"] == len(stored)
    assert sorted(in_order["pins"]) == sorted(number for number, one in stored.items() if one["pinned_at"])
    for _ in range(25):
        order = source.choices(range(60), k=source.randint(0, 120))  # some twice, some never
        assert page.evaluate(APPLY, [events, order, snapshot]) == in_order


def _events(source: Random, count: int) -> list[dict[str, Any]]:
    """Return a room's first events: messages said, and changed in all ways."""
    events: list[dict[str, Any]] = []
    known: dict[int, dict[str, Any]] = {}
    for sequence in range(1, count + 1):
        if not known or source.random() < 0.4:
            one = {"id": len(known) + 1, "sequence": sequence, "body": "new", "pinned_at": None}
            kind = "message.created"
        else:
            one = dict(source.choice(list(known.values())))
            kind = source.choice(["message.edited", "message.pinned"])
            one["body"] = f"said {sequence}"
            one["pinned_at"] = f"{sequence:04}" if kind == "message.pinned" else one["pinned_at"]
        known[one["id"]] = one = {**one, "version": sequence}
        events.append({"type": kind, "sequence": sequence, "message": one})
    return events
