"""New posts are imported by the hundred: the same as one by one, but quicker."""

import re
from pathlib import Path
from typing import Any

import pytest

from audit.models import Event
from blog.importing import batches
from blog.importing.run import import_directory
from blog.models import Post
from tests.blog.conftest import picture
from tests.blog.test_importing import files_in, last_event, source, write

__all__ = ["source"]  # the fixture


def many(source: Path, count: int = 12) -> None:
    """Write posts that share people, tags, categories and, by twos, their slug."""
    for number in range(count):
        front = f"""title: Post {number // 2}
date: 2020-01-{number + 1:02}
authors: [Jane Doe, Author {number % 3}]
tags: [t{number % 4}, T{number % 4}, "C++"]
category: C{number % 2}
aliases: [old/{number}.html]"""
        write(source / f"{number}" / "post.md", f"---\n{front}\n---\n![x](a.png) {number}\n")
        write(source / f"{number}" / "a.png", picture(size=(number + 1, 5)))


def imported() -> list[Any]:
    return [
        (
            *(post.slug, post.title, post.body_markdown, re.sub(r"blog/../\w+", "", post.body_html)),
            *(post.author.username, [user.username for user in post.coauthors.all()]),
            *(sorted(tag.slug for tag in post.tags.all()), post.category and post.category.slug),
            *(sorted(old.path for old in post.old_addresses.all()), [image.width for image in post.images.all()]),
        )
        for post in Post.objects.order_by("id")
    ]


@pytest.mark.django_db
def test_many_at_once_become_the_same_as_one_by_one(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    many(source)
    assert import_directory(source).created == 12
    at_once = imported()
    assert len({row[0] for row in at_once}) == 12
    Post.objects.all().delete()
    monkeypatch.setattr(batches, "_POSTS_A_BATCH", 1)
    assert import_directory(source).created == 12
    assert imported() == at_once


@pytest.mark.django_db
def test_many_at_once_take_few_queries_and_the_ledger_has_each(
    source: Path, django_assert_max_num_queries: Any
) -> None:
    many(source)
    before = last_event()
    with django_assert_max_num_queries(80):
        import_directory(source)
    events = Event.objects.filter(id__gt=before)
    assert events.filter(action="blog.post.created").count() == 12
    assert events.filter(action="blog.image.created").count() == 12
    created = events.filter(action="blog.post.created").order_by("id").first()
    assert created is not None
    assert created.changes["body_markdown"] == "![x](a.png) 0"


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ("aliases: [old/0.html]", "leads to “Post 0” already"),
        ("tags: ['x" + "y" * 60 + "']", "longer than 50"),
        ("tags: ['!!']", "has no letters"),
        ("category: '!!'", "has no letters"),
        ("authors: ['!!']", "has no letters"),
    ],
)
def test_one_that_is_wrong_is_named_and_holds_up_no_other(source: Path, media: Path, wrong: str, said: str) -> None:
    many(source)
    file = source / "5" / "post.md"
    lines = [line for line in file.read_text().splitlines() if not line.startswith(wrong.partition(":")[0])]
    file.write_text("\n".join([lines[0], wrong, *lines[1:]]))
    report = import_directory(source)
    assert (report.created, report.images) == (11, 11)
    assert [(remark.file, said in remark.message) for remark in report.failed] == [("5/post.md", True)]
    assert len(files_in(media)) == 11


@pytest.mark.django_db
def test_an_import_that_is_interrupted_leaves_no_files_of_what_waited(
    source: Path, media: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    many(source, 3)

    def interrupt(done: int, total: int, file: str) -> None:
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        import_directory(source, progress=interrupt)
    assert not Post.objects.exists()
    assert files_in(media) == []
