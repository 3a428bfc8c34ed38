"""The whole blog as Markdown, and back: what was exported imports to the same content, here and elsewhere."""

import json
import re
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db.models import QuerySet

from accounts.models import User
from audit.models import Event
from blog import actions
from blog.exporting.run import export_posts
from blog.importing.run import import_directory
from blog.models import Category, OldAddress, Post, Tag
from tests.blog.conftest import picture

pytestmark = pytest.mark.django_db
EVERYTHING = """    indented code first

# Heading

```python
def f(x): return f"{x}---"
---
+++
```

<details><summary>Raw <b>HTML</b></summary>

| a | b |
|:-:|--:|
| 1 | 2 |

</details>

A note.[^1] “Quotes”, ünïcode, 日本語, 🎉, trailing spaces  \nand \\*escapes\\*.

---
title: not front matter
---

[^1]: With `code`.

<img src="img/b c.png" alt="x" width="20"> ![Chart](chart.png)"""


def normal(html: str) -> str:
    return re.sub(r"/media/blog/\w\w/\w+", "", html)


def content() -> list[dict[str, Any]]:
    """Return all that readers see of the blog."""
    return [
        {
            "title": post.title,
            "slug": post.slug,
            "description": post.description,
            "body": post.body_markdown,
            "html": normal(post.body_html),
            "excerpt": post.excerpt,
            "authors": [(user.username, user.name) for user in (post.author, *post.coauthors.order_by("pk"))],
            "category": post.category and post.category.name,
            "tags": sorted(tag.name for tag in post.tags.all()),
            "is_published": post.is_published,
            "published_at": post.published_at,
            "images": {image.name: Path(image.file.path).read_bytes() for image in post.images.all()},
            "addresses": sorted(old.path for old in post.old_addresses.all()),
        }
        for post in Post.objects.order_by("slug")
    ]


@pytest.fixture
def blog(tmp_path: Path, author: User, other_author: User) -> list[dict[str, Any]]:
    source = tmp_path / "source" / "all"
    (source / "img").mkdir(parents=True)
    (source / "img" / "b c.png").write_bytes(picture(colour="blue"))
    (source / "chart.png").write_bytes(picture("JPEG", size=(9, 9)))
    front = 'title: "It is: #all"\ndate: 2018-03-04T05:06:07+02:00\nauthors: [Jane Doe, otto]\naliases: [2018/all.html]'
    (source / "index.md").write_text(f"---\n{front}\ncategory: Glass\ntags: [C++, clear]\n---\n{EVERYTHING}\n")
    report = import_directory(tmp_path / "source")
    assert (report.created, report.warnings, report.failed) == (1, [], [])
    User.objects.filter(pk=author.pk).update(display_name="Anna: the First", username="Anna_1")
    author.refresh_from_db()
    for title in ("Native", "On: 'drafts' # and\tthings"):
        actions.create_post(actor=author, title=title, body="---\n\nx\n\n+++", description="A: b — “c” 'd' # e")
    native = Post.objects.get(title="Native")
    native.coauthors.add(other_author)
    actions.update_post(native, actor=author, slug="renamed", tags=["clear", "New: one"], category="glass")
    actions.publish_post(native, actor=author)
    return content()


def exported(tmp_path: Path, name: str = "out") -> Path:
    export_posts(tmp_path / name)
    return tmp_path / name


def files(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def test_elsewhere_it_becomes_the_same_blog_and_exports_to_the_same_files(
    tmp_path: Path, blog: list[dict[str, Any]]
) -> None:
    folder = exported(tmp_path)
    for model in (Post, OldAddress, Tag, Category, User):
        model.objects.all().delete()
    report = import_directory(folder)
    assert (report.created, report.failed, report.warnings, report.skipped) == (3, [], [], [])
    assert content() == blog
    assert files(exported(tmp_path, "again")) == files(folder)
    assert import_directory(folder).unchanged == 3


def test_here_it_changes_nothing(tmp_path: Path, blog: list[dict[str, Any]]) -> None:
    report = import_directory(exported(tmp_path))
    assert (report.unchanged, report.found) == (3, 3)
    assert content() == blog


def test_a_file_that_was_changed_outside_changes_its_post(tmp_path: Path, blog: list[dict[str, Any]]) -> None:
    folder = exported(tmp_path)
    file = folder / "renamed" / "index.md"
    file.write_text(file.read_text().replace("title: Native", "title: Better"))
    report = import_directory(folder)
    assert (report.updated, report.unchanged) == (1, 2)
    assert Post.objects.get(slug="renamed").title == "Better"
    assert Post.objects.count() == 3


def test_an_imported_path_takes_no_post_of_ours_by_chance(tmp_path: Path, post: Post) -> None:
    (tmp_path / "x.md").write_text("---\ntitle: T\npath: blog/on-being-seen\ndate: 2020-01-01\nauthor: Jane\n---\nx\n")
    assert import_directory(tmp_path).created == 1
    post.refresh_from_db()
    assert post.title == "On being seen"


def test_files_are_what_people_would_write(tmp_path: Path, blog: list[dict[str, Any]]) -> None:
    text = (exported(tmp_path) / "renamed" / "index.md").read_text()
    assert text.startswith("---\ntitle: Native\nidentity: blog/renamed\nslug: renamed\n")
    assert "description: 'A: b — “c” ''d'' # e'\n" in text
    assert "usernames:\n- Anna_1\n- otto\n" in text
    assert "draft" not in text
    assert "aliases:\n- blog/native\n" in text
    assert text.endswith("---\n\n---\n\nx\n\n+++\n")


@pytest.mark.parametrize(
    ("usernames", "said"),
    [("[a]", "another number"), ("a", "no list"), ("['a b', c]", "can't be a username"), ("[1, 2]", "no list")],
)
def test_usernames_are_checked(tmp_path: Path, usernames: str, said: str) -> None:
    front = f"title: T\nauthors: [Jane, Joe]\nusernames: {usernames}\ndate: 2020-01-01"
    (tmp_path / "x.md").write_text(f"---\n{front}\n---\nx\n")
    (remark,) = import_directory(tmp_path).failed
    assert said in remark.message
    assert not User.objects.exists()


def test_what_cannot_be_exported_is_told(tmp_path: Path, post: Post, author: User) -> None:
    post.images.create(name="../up.png", file="blog/x.png", width=1, height=1, checksum_sha256="x")
    post.images.create(name="gone.png", file="blog/gone.png", width=1, height=1, checksum_sha256="x")
    actions.update_post(post, actor=author, body="![x](/media/pictures/x.png)")
    done = export_posts(tmp_path / "out")
    assert (done.posts, done.images) == (1, 0)
    assert [one.file for one in done.warnings] == ["on-being-seen"] * 3
    assert sorted(files(tmp_path / "out")) == ["on-being-seen/index.md"]
    assert not (tmp_path / "out" / "up.png").exists()


def test_the_command_tells_what_it_did_and_the_ledger_knows(
    tmp_path: Path, post: Post, new_events: Callable[[str], QuerySet[Event]]
) -> None:
    out = StringIO()
    call_command("export_posts", str(tmp_path / "a"), stdout=out)
    assert out.getvalue() == f"1 posts and 0 images are in {tmp_path / 'a'}.\n"
    out = StringIO()
    call_command("export_posts", str(tmp_path / "b"), "--format", "json", stdout=out)
    assert json.loads(out.getvalue()) == {"posts": 1, "images": 0, "warnings": []}
    assert new_events("blog.export.finished").last().changes == {"posts": 1, "images": 0}
    assert new_events("blog.export.started").count() == 2
    with pytest.raises(CommandError, match="not empty") as caught:
        call_command("export_posts", str(tmp_path / "a"))
    assert caught.value.returncode == 2
