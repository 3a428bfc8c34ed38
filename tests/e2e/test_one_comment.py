"""One comment, followed everywhere: browser, web, database, ledger, queue, worker, socket, browser."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from playwright.sync_api import expect

from accounts.models import User
from audit.models import Event
from blog.actions import create_post, publish_post
from blog.models import Post
from notifications.models import Notification
from ops import story
from tests.conftest import WaitUntil
from tests.live import LivePlatform

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.browser]
PASSWORD = "right-horse-9"
OpenPage = Callable[..., Any]


@pytest.fixture
def people(live_platform: LivePlatform) -> dict[str, User]:
    made = {name: User.objects.create_user(name, password=PASSWORD) for name in ("author", "reader", "developer")}
    made["author"].user_permissions.set(
        Permission.objects.filter(
            content_type__app_label="blog", codename__in=("add_post", "change_post", "publish_post")
        )
    )
    made["developer"].user_permissions.set(Permission.objects.filter(codename__in=("view_request_page", "view_event")))
    return made


@pytest.fixture
def post(people: dict[str, User]) -> Post:
    made = create_post(actor=User.objects.get(username="author"), title="On being seen", body="A **short** post.")
    return publish_post(made, actor=User.objects.get(username="author"))


def log_in(page: Any, name: str, path: str) -> None:
    page.goto(f"/accounts/login/?next={path}")
    page.get_by_label("Username").fill(name)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("main").get_by_role("button", name="Log in").click()
    page.wait_for_url(f"**{path}")


def comment(page: Any, text: str) -> str:
    """Comment on the open post, and return the request's id from the answer's header."""
    with page.expect_response(lambda response: response.request.method == "POST") as answer:
        page.get_by_role("textbox", name="Your comment").fill(text)
        page.get_by_role("button", name="Comment", exact=True).click()
    page.wait_for_load_state()
    return str(answer.value.headers["x-request-id"])


def test_a_comment_is_pushed_to_its_author_and_told_as_one_story(
    open_page: OpenPage, post: Post, people: dict[str, User], wait_until: WaitUntil
) -> None:
    author, reader = open_page(), open_page()
    log_in(author, "author", "/notifications/")
    log_in(reader, "reader", f"/blog/{post.slug}/")

    request_id = comment(reader, "Well **said**.")

    # On the page that the author has open. How fast is a figure for tests/benchmarks, not for a test.
    expect(author.locator("#toasts")).to_contain_text("On being seen", timeout=60_000)
    expect(author.locator("header [data-unread]")).to_have_text("1", timeout=60_000)
    expect(reader.locator("#comments")).to_contain_text("Well said.")

    created = Event.objects.get(action="blog.comment.created", request_id=request_id)
    assert created.differences["body_markdown"] == [None, "Well **said**."]
    assert (created.actor_id, created.actor_label, created.origin) == (str(people["reader"].pk), "reader", "http")
    notified = Event.objects.get(action="notifications.notification.created", request_id=request_id)
    assert (notified.actor_label, notified.origin) == ("reader", "task")
    assert notified.task_id
    assert Notification.objects.get().recipient == people["author"]

    def told() -> Any:
        whole = story.tell(request_id)
        lanes = {step.lane for step in whole.steps}
        # Each process exports its spans in its own time, and the worker's sending is in the lane of pushes too.
        is_whole = {"request", "sql", "wait", "task", "push"} <= lanes and len(whole.summary["processes"]) >= 3
        return whole if is_whole else None

    whole = wait_until(told)
    assert whole.summary["processes"] == ["sockets", "web", "worker"]
    assert {step.process for step in whole.steps if step.name == "process notifications.notify_user"} == {"worker"}
    assert any(step.process == "worker" and step.lane == "sql" for step in whole.steps)
    assert any(step.process == "sockets" and step.name.startswith("deliver") for step in whole.steps)
    assert {span["trace_id"] for span in [whole.summary]} == {created.trace_id} == {notified.trace_id}


def test_several_comments_on_a_post_are_one_line_on_each_open_page(
    open_page: OpenPage, post: Post, people: dict[str, User]
) -> None:
    tabs, reader = [open_page(), open_page()], open_page()
    for tab in tabs:
        log_in(tab, "author", "/notifications/")
    log_in(reader, "reader", f"/blog/{post.slug}/")
    for text in ("First.", "Second.", "Third."):
        comment(reader, text)
    for tab in tabs:
        expect(tab.locator("[data-notifications] li")).to_have_text([re.compile("3 comments on “On being seen”")])
        expect(tab.locator(".toast")).to_have_count(1)
        expect(tab.locator("header [data-unread]")).to_have_text("1")
    tabs[0].get_by_role("button", name="Mark as read").click()
    for tab in tabs:
        expect(tab.locator("header [data-unread]")).to_be_hidden()
        expect(tab.locator(".notification.unread")).to_have_count(0)


def test_a_developer_reads_the_story_on_its_page(open_page: OpenPage, post: Post, wait_until: WaitUntil) -> None:
    reader, developer = open_page(), open_page()
    log_in(reader, "reader", f"/blog/{post.slug}/")
    request_id = comment(reader, "Once more.")
    wait_until(lambda: any(step.name.startswith("process") for step in story.tell(request_id).steps))

    log_in(developer, "developer", f"/ops/requests/{request_id}/")

    main = developer.get_by_role("main")
    expect(main.get_by_role("heading", level=1)).to_contain_text("POST /blog/")
    expect(main).to_contain_text("waiting in queue")
    expect(main).to_contain_text("process notifications.notify_user")
    expect(main).to_contain_text("blog.comment.created")
    expect(main).to_contain_text("INSERT blog_comment")


def test_script_in_a_comment_stays_text(open_page: OpenPage, post: Post) -> None:
    reader = open_page()
    log_in(reader, "reader", f"/blog/{post.slug}/")
    comment(reader, "<script>document.title = 'stolen'</script><img src=x onerror=\"document.title='stolen'\"> hello")

    assert "stolen" not in reader.title()
    assert reader.locator("#comments script").count() == 0
    assert reader.locator("#comments [onerror]").count() == 0
    expect(reader.locator("#comments")).to_contain_text("hello")


def test_two_browsers_exchange_chat_messages(open_page: OpenPage, people: dict[str, User]) -> None:
    one, two = open_page(), open_page(viewport={"width": 390, "height": 844})
    for page, name in ((one, "author"), (two, "reader")):
        log_in(page, name, "/chat/lobby/")
    one.get_by_role("textbox").fill("Is anyone here?")
    one.get_by_role("textbox").press("Enter")
    expect(two.get_by_role("log")).to_contain_text("Is anyone here?", timeout=60_000)
    two.get_by_role("textbox").fill("Always.")
    two.get_by_role("textbox").press("Enter")

    expect(one.get_by_role("log")).to_contain_text("Always.", timeout=60_000)
    sent = Event.objects.filter(action="chat.message.created").order_by("id")
    assert [(event.actor_label, event.origin) for event in sent] == [("author", "websocket"), ("reader", "websocket")]
