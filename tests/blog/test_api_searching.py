"""The search by the API finds what the page finds: the best first, with what of it fits."""

import pytest
from django.test import Client

from accounts.models import User
from blog import actions
from blog.models import Post

pytestmark = pytest.mark.django_db
SEARCH = "/api/blog/search/"


def test_hits_come_with_their_places_marked(client: Client, post: Post, draft: Post, reader: User) -> None:
    actions.add_comment(post, author=reader, body="x")
    found = client.get(SEARCH, {"q": " seen  short "}).json()
    assert (found["words"], found["count"], found["page"], found["pages"]) == ("seen short", 1, 1, 1)
    assert (found["next"], found["previous"], found["is_more"], found["is_too_broad"]) == (None, None, False, False)
    (hit,) = found["results"]
    assert hit["title_html"] == "On being <mark>seen</mark>"
    assert hit["piece_html"] == "A <mark>short</mark> post."
    assert (hit["post"]["slug"], hit["post"]["comment_count"]) == ("on-being-seen", 1)
    assert client.get(SEARCH, {"q": "drafts"}).json()["results"] == []


def test_pages_lead_to_each_other(client: Client, author: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("blog.limits.HITS_PER_PAGE", 2)
    for number in range(5):
        made = actions.create_post(actor=author, title=f"Glass {number}", body="Glass.")
        actions.publish_post(made, actor=author)
    seen, address, page = [], f"{SEARCH}?q=glass", {}
    while address:
        page = client.get(address).json()
        seen += [hit["post"]["title"] for hit in page["results"]]
        address = page["next"]
    assert sorted(seen) == [f"Glass {number}" for number in range(5)]
    assert page["page"] == page["pages"] == 3
    assert client.get(page["previous"]).json()["page"] == 2


def test_who_has_an_answer_already_is_told_so(client: Client, post: Post) -> None:
    first = client.get(SEARCH, {"q": "short"}).headers["ETag"]
    assert client.get(SEARCH, {"q": "short"}, headers={"If-None-Match": first}).status_code == 304


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({}, "q"),
        ({"q": " "}, "q"),
        ({"q": "x", "page": "0"}, "page"),
        ({"q": "x", "page": "a"}, "page"),
    ],
)
def test_what_can_not_be_looked_for_is_named(client: Client, db: None, query: dict[str, str], field: str) -> None:
    response = client.get(SEARCH, query)
    assert (response.status_code, set(response.json()["errors"])) == (400, {field})
