"""People follow authors, categories and posts, and hear of their news: once, in batches, whatever runs twice."""

from collections.abc import Callable
from typing import Any

import pytest
from django.db import IntegrityError, transaction
from django.test import Client

from accounts.models import User
from blog import actions, limits
from blog.errors import NotAllowedError
from blog.models import Announcement, Category, Post, Subscription
from blog.tasks import tell_followers
from tasks.models import TaskRun
from tests.blog.test_discussion import PAGE, as_user, told

pytestmark = pytest.mark.django_db
NewUser = Callable[..., User]


@pytest.fixture
def category(db: None) -> Category:
    return Category.objects.create(name="Glass", slug="glass")


def run_announcements() -> int:
    """Do what the worker would; returns how many tasks it took."""
    count = 0
    while run := TaskRun.objects.filter(name="blog.tell_followers").first():
        (announcement,) = run.arguments["args"]
        run.delete()
        tell_followers(announcement)
        count += 1
    return count


def test_one_follows_and_unfollows_from_the_pages(post: Post, category: Category, reader: User) -> None:
    actions.update_post(post, actor=post.author, category="glass")
    client = as_user(reader)
    for page in (PAGE, "/blog/category/glass/", "/blog/author/anna/"):
        assert f'action="{page}follow/"' in client.get(page).content.decode()
        assert f'action="{page}follow/"' not in Client().get(page).content.decode()
        response = client.post(f"{page}follow/", {"follow": "1"}, follow=True)
        assert response.redirect_chain[-1][0] == page
        assert "Unfollow" in response.content.decode()
    mine = client.get("/blog/following/").content.decode()
    for name in ("On being seen", "Glass", "Anna"):
        assert name in mine
    response = client.post(f"{PAGE}follow/", {"unfollow": "1", "from_list": "1"})
    assert response.headers["Location"] == "/blog/following/"
    assert Subscription.objects.count() == 2
    assert "follow nothing" in as_user(post.author).get("/blog/following/").content.decode()


def test_nobody_follows_themselves_twice_or_what_is_not_theirs_to_see(
    post: Post, draft: Post, author: User, reader: User
) -> None:
    for _ in range(2):
        actions.follow(post, actor=reader)
    assert Subscription.objects.count() == 1
    with pytest.raises(NotAllowedError):
        actions.follow(author, actor=author)
    with pytest.raises(NotAllowedError):
        actions.follow(draft, actor=reader)
    assert as_user(reader).post("/blog/on-drafts/follow/").status_code == 404
    assert as_user(author).get("/blog/author/anna/").content.decode().count("/follow/") == 0
    with pytest.raises(IntegrityError), transaction.atomic():
        Subscription.objects.create(user=reader)
    with pytest.raises(IntegrityError), transaction.atomic():
        Subscription.objects.create(user=reader, post=post, author=author)


def test_followers_hear_of_a_post_once_ever(
    author: User, other_author: User, reader: User, moderator: User, category: Category
) -> None:
    draft = actions.create_post(actor=author, title="New", body="x", category="glass")
    draft.coauthors.add(other_author)
    actions.follow(author, actor=reader)
    actions.follow(category, actor=reader)  # for both reasons, and yet once
    actions.follow(other_author, actor=moderator)
    actions.follow(category, actor=author)  # knows
    published = actions.publish_post(draft, actor=author)
    assert run_announcements() == 1
    assert told() == [
        ("subscription", name, "Anna published “New”")
        for name in [user.username for user in sorted((reader, moderator), key=lambda user: user.pk)]
    ]
    actions.publish_post(actions.unpublish_post(published, actor=author), actor=author)
    assert run_announcements() == 0
    assert told() == []


def test_who_left_or_unfollowed_and_what_was_taken_back_is_not_told(
    author: User, reader: User, moderator: User, draft: Post
) -> None:
    for user in (reader, moderator):
        actions.follow(author, actor=user)
    actions.unfollow(author, actor=reader)
    User.objects.filter(pk=moderator.pk).update(is_active=False)
    published = actions.publish_post(draft, actor=author)
    run_announcements()
    assert told() == []
    second = actions.publish_post(actions.create_post(actor=author, title="Second", body="x"), actor=author)
    actions.follow(author, actor=reader)
    actions.unpublish_post(second, actor=author)
    run_announcements()
    assert told() == []
    assert published.is_published


def test_many_followers_are_told_in_batches_and_a_task_that_runs_twice_tells_nobody_twice(
    author: User, draft: Post, new_user: NewUser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "FOLLOWERS_AT_ONCE", 3)
    people = [new_user(f"fan{number}") for number in range(7)]
    for person in people:
        actions.follow(author, actor=person)
    actions.publish_post(draft, actor=author)
    announcement = Announcement.objects.get()
    for _ in range(2):  # the first task, run twice
        tell_followers(announcement.pk)
    assert run_announcements() >= 1
    assert [name for kind, name, _ in told() if kind == "subscription"] == [person.username for person in people]
    assert tell_followers(announcement.pk) == 0
    assert told() == []


def test_a_batch_that_breaks_tells_nobody_until_it_runs_again(
    author: User, draft: Post, new_user: NewUser, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(3):
        actions.follow(author, actor=new_user(f"fan{number}"))
    actions.publish_post(draft, actor=author)
    announcement, real = Announcement.objects.get(), actions.announcing.request_notification
    asked: list[User] = []

    def broken(recipient: User, **told: Any) -> Any:
        asked.append(recipient)
        if len(asked) == 2:
            raise RuntimeError("broken")
        return real(recipient, **told)

    monkeypatch.setattr(actions.announcing, "request_notification", broken)
    with pytest.raises(RuntimeError, match="broken"), transaction.atomic():
        tell_followers(announcement.pk)
    assert not TaskRun.objects.filter(name="notifications.notify_user").exists()
    monkeypatch.undo()
    assert tell_followers(announcement.pk) == 3


def test_followers_of_a_post_hear_of_comments_unless_they_heard_already(
    post: Post, author: User, other_author: User, reader: User, moderator: User, new_user: NewUser
) -> None:
    fan = new_user("fan")
    for user in (other_author, reader, moderator, fan):
        actions.follow(post, actor=user)
    run_announcements()  # of the post itself
    told()
    first = actions.add_comment(post, author=reader, body="One.")
    assert run_announcements() == 1
    assert [name for kind, name, _ in told() if kind == "subscription"] == ["otto", "mona", "fan"]
    actions.add_comment(post, author=moderator, body="@otto two.", parent=first)
    run_announcements()
    assert sorted((kind, name) for kind, name, _ in told()) == [
        ("comment", "anna"),
        ("mention", "otto"),
        ("reply", "rob"),
        ("subscription", "fan"),
    ]
    assert not Announcement.objects.filter(comment__isnull=False).exists()


def test_a_comment_on_a_post_that_nobody_follows_takes_no_task(post: Post, reader: User) -> None:
    run_announcements()  # of the post itself
    actions.add_comment(post, author=reader, body="One.")
    assert run_announcements() == 0


def test_the_api_follows_lists_and_unfollows(post: Post, category: Category, reader: User, author: User) -> None:
    client, path = as_user(reader), "/api/blog/subscriptions/"

    def send(data: dict[str, str]) -> Any:
        return client.post(path, data, content_type="application/json")

    for data in ({"author": "anna"}, {"category": "glass"}, {"post": "on-being-seen"}):
        assert send(data).status_code == 201
    listed = client.get(path).json()["results"]
    assert [(one["author"], one["category"], one["post"]) for one in listed] == [
        (None, None, "on-being-seen"),
        (None, "glass", None),
        ("anna", None, None),
    ]
    for wrong, status in (({}, 400), ({"author": "anna", "post": "x"}, 400), ({"post": "none"}, 404)):
        assert send(wrong).status_code == status
    own = f"{path}{listed[0]['id']}/"
    assert as_user(author).delete(own).status_code == 404
    assert client.delete(own).status_code == 204
    assert Subscription.objects.count() == 2
    assert Client().get(path).status_code == 401
