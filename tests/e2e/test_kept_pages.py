"""Kept pages of a real web process, while another process changes what they show."""

from collections.abc import Iterator

import httpx
import pytest

from accounts.models import User
from blog import actions
from blog.models import Post
from tests.live import LivePlatform

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def author(live_platform: LivePlatform) -> User:
    return User.objects.create_superuser("anna", display_name="Anna", password="x")


@pytest.fixture
def post(author: User) -> Post:
    made = actions.create_post(actor=author, title="Seen by all", body="As it was.")
    return actions.publish_post(made, actor=author)


@pytest.fixture
def web(live_platform: LivePlatform) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=live_platform.web_url) as client:
        yield client


def test_what_another_process_changes_is_seen_at_once(web: httpx.Client, post: Post, author: User) -> None:
    for number in range(5):
        actions.update_post(post, actor=author, title=f"Title {number}", body=f"Text {number}.")
        for _ in range(2):
            assert f"Title {number}" in web.get("/").text
            assert f"Text {number}." in web.get("/blog/seen-by-all/").text


def test_each_answer_over_the_wire_is_its_own_request(web: httpx.Client, post: Post) -> None:
    answers = [web.get("/") for _ in range(3)]
    for answer in answers:
        assert answer.headers["X-Request-ID"] in answer.text
        assert int(answer.headers["Content-Length"]) == len(answer.content)
    assert len({answer.headers["X-Request-ID"] for answer in answers}) == 3
    head = web.head("/")
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["ETag"] == answers[0].headers["ETag"]
    again = web.get("/", headers={"If-None-Match": head.headers["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
