"""`manage seed_data`: repeatable, and careful with what isn't its own."""

import json
import sys
from hashlib import sha256
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from accounts.models import User
from audit.models import Event
from blog.models import Category, Comment, Post, Tag
from chat.models import Message, Room
from config.management.commands import seed_data
from notifications.models import Notification

pytestmark = pytest.mark.django_db

TABLES: dict[Any, tuple[str, ...]] = {
    User: ("username", "display_name", "email", "date_joined"),
    Post: (
        *("source_path", "slug", "title", "description", "body_markdown", "body_html", "excerpt", "status"),
        *("category__name", "published_at", "created_at", "updated_at", "author__username"),
    ),
    Post.tags.through: ("post__source_path", "tag__name"),
    Category: ("name", "slug", "description"),
    Tag: ("name", "slug"),
    Comment: ("post__source_path", "created_at", "author__username", "body_markdown", "body_html"),
    Room: ("slug", "name", "topic", "created_at", "last_sequence"),
    Message: ("room__slug", "sequence", "author__username", "body", "created_at"),
    Notification: ("recipient__username", "title", "created_at", "read_at"),
}


def run(*arguments: str) -> dict[str, Any]:
    out = StringIO()
    call_command("seed_data", *arguments, "--format", "json", stdout=out)
    answer: dict[str, Any] = json.loads(out.getvalue())
    return answer


def digest() -> str:
    """Return a digest of all content: of everything but ids."""
    rows = [list(model.objects.order_by(*fields).values_list(*fields)) for model, fields in TABLES.items()]
    return sha256(repr(rows).encode()).hexdigest()


def counts() -> dict[str, int]:
    return {model.__name__: model.objects.count() for model in TABLES}


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a function that has somebody sit at a terminal and answer."""

    def answer(text: str) -> None:
        stdin = StringIO(text + "\n")
        monkeypatch.setattr(stdin, "isatty", lambda: True)
        monkeypatch.setattr(sys, "stdin", stdin)

    return answer


def test_it_says_what_it_made() -> None:
    before = counts()
    answer = run("--posts", "30", "--users", "12", "--messages", "60")
    nouns = ["posts", "comments", "categories", "tags", "rooms", "messages", "notifications", "people"]
    assert list(answer["made"]) == nouns
    models = ("Post", "Comment", "Category", "Tag", "Room", "Message", "Notification", "User")
    assert list(answer["made"].values()) == [counts()[name] - before[name] for name in models]
    assert (answer["made"]["posts"], answer["made"]["people"], answer["made"]["rooms"]) == (30, 12, 6)
    assert answer["made"]["comments"] > 30
    out = StringIO()
    call_command("seed_data", "--posts", "31", "--users", "12", "--messages", "60", stdout=out)
    assert out.getvalue().startswith("Made: 1 posts")


def test_no_progress_is_shown_where_nobody_looks(capsys: pytest.CaptureFixture[str]) -> None:
    call_command("seed_data", "--posts", "5", "--messages", "0", stdout=StringIO())
    assert capsys.readouterr().err == ""


def test_the_same_seed_gives_the_same_content() -> None:
    options = ("--posts", "25", "--users", "10", "--messages", "50")
    run(*options)
    first = digest()
    run(*options, "--clear")
    assert digest() == first
    run(*options, "--clear", "--seed", "2")
    assert digest() != first


def test_content_ends_on_the_day_that_was_asked_for() -> None:
    run("--posts", "25", "--until", "2024-03-01", "--messages", "50")
    assert max(post.created_at for post in Post.objects.all()).isoformat() < "2024-03-01"
    assert max(message.created_at for message in Message.objects.all()).isoformat() < "2024-03-01"


def test_a_second_run_changes_nothing() -> None:
    run("--posts", "20", "--messages", "50")
    before, events = digest(), Event.objects.count()
    assert not any(run("--posts", "20", "--messages", "50")["made"].values())
    assert digest() == before
    assert Event.objects.count() == events


def test_clear_leaves_what_was_there_before() -> None:
    call_command("seed_demo", stdout=StringIO())
    before, were = digest(), counts()
    made = run("--posts", "20", "--messages", "50")["made"]
    answer = run("--clear")
    assert answer["removed"] == made
    assert answer["kept"] == {"posts": 0, "rooms": 0}
    assert "made" not in answer
    assert counts() == were
    assert digest() == before


def test_everything_is_in_the_ledger_with_its_reason() -> None:
    last = Event.objects.order_by("-id").values_list("id", flat=True).first() or 0
    made = run("--posts", "20", "--seed", "5", "--messages", "50")["made"]
    created = Event.objects.filter(id__gt=last, action__endswith=".created")
    for action, name in (("blog.post", "posts"), ("blog.comment", "comments"), ("chat.message", "messages")):
        assert created.filter(action=f"{action}.created").count() == made[name]
    reasons = {event.context["reason"] for event in created if event.object_type not in ("blog.category", "blog.tag")}
    assert reasons == {"seed_data --posts 20 --seed 5"}


def test_production_refuses_it_unless_it_is_forced(settings: Any) -> None:
    settings.DEMO_PASSWORD = None
    for arguments in (("--posts", "5"), ("--clear",)):
        with pytest.raises(CommandError, match="--force"):
            run(*arguments)
    assert not Post.objects.exists()
    run("--posts", "5", "--force")
    assert Post.objects.count() == 5
    assert not User.objects.filter(is_active=True).exists()


def test_on_a_terminal_it_asks_before_it_deletes(terminal: Any) -> None:
    run("--posts", "5", "--messages", "20")
    err = StringIO()
    terminal("no")
    with pytest.raises(CommandError, match="Nothing was deleted"):
        call_command("seed_data", "--clear", stderr=err)
    assert "deletes 5 posts, 6 chat rooms, 60 people" in err.getvalue()
    assert Post.objects.count() == 5
    terminal("yes")
    call_command("seed_data", "--clear", stdout=StringIO(), stderr=StringIO())
    assert not Post.objects.exists()


def test_no_input_does_not_ask(terminal: Any) -> None:
    run("--posts", "5")
    terminal("no")
    run("--clear", "--no-input")
    assert not Post.objects.exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ("--posts", "-1"),
        ("--posts", "many"),
        ("--users", "1"),
        ("--comments-per-post", "nan"),
        ("--comments-per-post", "1000"),
        ("--until", "soon"),
    ],
)
def test_what_makes_no_sense_is_refused(arguments: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as refusal:
        seed_data.Command().run_from_argv(["manage", "seed_data", *arguments])
    assert refusal.value.code == 2
    assert arguments[1] in capsys.readouterr().err


def test_the_help_shows_examples(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        seed_data.Command().run_from_argv(["manage", "seed_data", "--help"])
    assert end.value.code == 0
    assert "manage seed_data --posts 1000 --clear" in capsys.readouterr().out
