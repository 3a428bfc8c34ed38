"""Importing folders of posts: complete or not at all, and the second time without a trace."""

import json
import os
import re
from collections.abc import Callable
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.db.models import Max, QuerySet

from accounts.models import User
from audit.models import Event
from blog.errors import ImportFileError
from blog.importing import batches, writing
from blog.importing.documents import NoFrontMatterError, read_document
from blog.importing.run import Report, import_directory
from blog.models import Image, Post, Status
from tests.blog.conftest import picture

TOML = """+++
path = "2019/11/07/Async-1.39"
title = "Async & stable"
authors = ["Niko Matsakis", "Jane Doe"]
+++

{body}
"""
YAML = "---\ntitle: From Hugo\nauthor: Jane Doe\ndate: 2018-03-04T05:06:07+02:00\nslug: from-hugo\n---\n{body}\n"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "posts"
    folder.mkdir()
    return folder


def write(path: Path, content: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def bundle(source: Path, body: str = "![Chart](chart.png)", **images: bytes) -> Path:
    """Write a page bundle, by default with one image that is there."""
    for name, data in (images or {"chart.png": picture()}).items():
        write(source / "async" / name, data)
    return write(source / "async" / "index.md", TOML.format(body=body))


def files_in(folder: Path) -> list[Path]:
    return [file for file in folder.rglob("*") if file.is_file()]


def last_event() -> int:
    return Event.objects.aggregate(last=Max("id"))["last"] or 0


# --- one document ------------------------------------------------------------------------------------------------


def test_toml_with_the_date_in_the_path(source: Path) -> None:
    document = read_document(write(source / "a.md", TOML.format(body="Text")), source)
    assert document.identity == "2019/11/07/Async-1.39"
    assert (document.slug, document.title) == ("Async-1.39", "Async & stable")
    assert document.authors == ("Niko Matsakis", "Jane Doe")
    assert document.published_at == datetime(2019, 11, 7, tzinfo=UTC)
    assert document.body == "\nText\n"


def test_yaml_with_a_date_of_its_own(source: Path) -> None:
    document = read_document(write(source / "b.md", YAML.format(body="Text")), source)
    assert document.published_at == datetime(2018, 3, 4, 3, 6, 7, tzinfo=UTC)
    assert (document.identity, document.slug, document.authors) == ("b", "from-hugo", ("Jane Doe",))


def test_the_date_in_the_name_of_a_file(source: Path) -> None:
    document = read_document(
        write(source / "2020-01-31-hello.md", "---\ntitle: 2020\n---\nx"), source, default_author="E"
    )
    assert (document.title, document.slug, document.authors) == ("2020", "hello", ("E",))
    assert document.published_at == datetime(2020, 1, 31, tzinfo=UTC)


def test_windows_line_ends_and_a_byte_order_mark(source: Path) -> None:
    text = YAML.format(body="Text").replace("\n", "\r\n").encode("utf-8-sig")
    assert read_document(write(source / "w.md", text), source).body == "Text\n"


def test_a_draft_needs_no_date(source: Path) -> None:
    document = read_document(write(source / "d.md", '+++\ntitle="T"\nauthors=["A"]\ndraft=true\n+++\n'), source)
    assert document.is_draft
    assert document.body == ""


BAD = {
    "not-utf8": (YAML.format(body="caf\xe9").encode("latin-1"), "not UTF-8 .line 7.*iconv"),
    "broken-toml": ('+++\ntitle = "x\n+++\nText', "TOML front matter is broken.*line"),
    "broken-yaml": ("---\ntitle: [x\n---\nText", "YAML front matter is broken"),
    "bad-yaml-date": ("---\ntitle: x\nauthor: y\ndate: 2020-13-45\n---\n", "broken .month must be"),
    "deep-yaml": (f"---\ntitle: {'[' * 50_000}\n---\n", "nested more than 50 deep"),
    "deep-list": (f"---\n{'- ' * 30_000}\n---\n", "nested more than 50 deep"),
    "python-yaml": ("---\ntitle: !!python/object/apply:os.system ['true']\n---\n", "broken"),
    "no-mapping": ("---\n- a\n---\n", "no names with values"),
    "open": ('+++\ntitle = "x"\n', "isn't closed"),
    "no-title": ('+++\nauthors = ["x"]\ndate = 2020-01-01\n+++\n', "no title; add title"),
    "no-date": ('+++\ntitle = "x"\nauthors = ["x"]\n+++\n', "no date.*add date"),
    "no-author": ('+++\ntitle = "x"\ndate = 2020-01-01\n+++\n', "no author.*--author"),
    "odd-authors": ('+++\ntitle = "x"\nauthors = [1]\ndate = 2020-01-01\n+++\n', "no list of names"),
    "odd-title": ('+++\ntitle = ["x"]\n+++\n', "title is no text"),
    "nul": (YAML.format(body="a\x00b"), "NUL"),
    "too-large": (YAML.format(body="x" * 600_000), "at most 564,000"),
    "large-body": (YAML.format(body="x" * 510_000), "at most 500,000"),
    "long-title": (YAML.replace("From Hugo", "x" * 201).format(body="x"), "at most 200"),
    "upwards": (YAML.format(body="![x](../../secret.png)"), "leads out of the folder"),
    "absolute-image": (YAML.format(body='<img src="..%2F..%2Fsecret.png">'), "leads out of the folder"),
    "broken-image": (YAML.format(body="![x](broken.png)"), "image broken.png: it's none of PNG"),
    "nested": (YAML.format(body="<div>" * 1_000), "nested more than 200 deep"),
}


@pytest.mark.django_db
@pytest.mark.parametrize("name", BAD)
def test_a_bad_file_is_named_and_left_out_and_the_others_are_imported(name: str, source: Path, media: Path) -> None:
    content, message = BAD[name]
    write(source / "secret.png", picture())
    write(source / "in" / "broken.png", b"not an image")
    write(source / "in" / f"{name}.md", content)
    bundle(source)
    report = import_directory(source / "in") if name in ("upwards", "absolute-image") else import_directory(source)
    failed = report.failed[0]
    assert failed.file.endswith(f"{name}.md")
    assert re.search(message, failed.message), failed.message
    assert Post.objects.count() == report.created == report.found - 1
    assert len(files_in(media)) == report.images


# --- folders -------------------------------------------------------------------------------------------------------


@pytest.mark.django_db
def test_a_bundle_becomes_a_post_with_authors_date_and_images(source: Path, media: Path) -> None:
    bundle(
        source,
        "![Chart](chart.png) <img src='./a%20b.webp' width=10> ![](https://a.example/x.png)\n\n# Big",
        **{
            "chart.png": picture(),
            "a b.webp": picture("WEBP", (30, 60)),
            "unused.png": picture(),
        },
    )
    report = import_directory(source)
    assert (report.created, report.images, report.warnings, report.failed) == (1, 2, [], [])
    post = Post.objects.get()
    assert (post.slug, post.title, post.status) == ("async-1-39", "Async & stable", Status.PUBLISHED)
    assert post.published_at == datetime(2019, 11, 7, tzinfo=UTC)
    assert post.body_markdown.startswith("![Chart](chart.png)")
    chart, other = Image.objects.order_by("id")
    assert (chart.name, chart.width, chart.height) == ("chart.png", 40, 20)
    assert f'src="{chart.file.url}" alt="Chart" width="40" height="20"' in post.body_html
    assert f'src="{other.file.url}" alt="" width="10" height="20"' in post.body_html
    assert "chart" not in chart.file.name
    assert len(files_in(media)) == 2
    niko, jane = post.author, post.coauthors.get()
    assert (niko.username, niko.display_name, niko.is_active) == ("niko-matsakis", "Niko Matsakis", False)
    assert jane.username == "jane-doe"
    assert not niko.has_usable_password()


@pytest.mark.django_db
def test_a_second_import_changes_nothing_and_leaves_no_event(source: Path, media: Path) -> None:
    bundle(source)
    write(source / "b.md", YAML.format(body="Text"))
    import_directory(source)
    before, files = last_event(), files_in(media)
    report = import_directory(source)
    assert (report.unchanged, report.created, report.updated, report.images) == (2, 0, 0, 0)
    assert last_event() == before
    assert files_in(media) == files


@pytest.mark.django_db
def test_what_has_changed_is_updated_and_the_rest_kept(
    source: Path, media: Path, new_events: Callable[[str], QuerySet[Event]], django_capture_on_commit_callbacks: Any
) -> None:
    bundle(source)
    import_directory(source)
    slug, old = Post.objects.get().slug, Image.objects.get().file.name
    bundle(source, "![Chart](chart.png)\n\nMore.", **{"chart.png": picture(colour="red")})
    with django_capture_on_commit_callbacks(execute=True):
        report = import_directory(source)
    assert (report.updated, report.images) == (1, 1)
    post, image = Post.objects.get(), Image.objects.get()
    assert post.slug == slug
    assert image.file.name != old
    assert image.file.url in post.body_html
    assert len(files_in(media)) == 1
    bundle(source, "No image any more.")
    with django_capture_on_commit_callbacks(execute=True):
        import_directory(source)
    assert not Image.objects.exists()
    assert files_in(media) == []
    assert new_events("blog.post.updated").last().differences["body_markdown"][1] == "No image any more."  # type: ignore[union-attr]


@pytest.mark.django_db
def test_what_was_decided_here_survives_an_import(source: Path, author: User) -> None:
    write(source / "b.md", YAML.format(body="Text"))
    import_directory(source)
    Post.objects.update(status=Status.DRAFT, published_at=None)
    assert import_directory(source).unchanged == 1
    assert Post.objects.get().status == Status.DRAFT


@pytest.mark.django_db
def test_an_image_that_is_missing_is_a_warning_and_shown_as_text(source: Path) -> None:
    bundle(
        source,
        "![A chart](gone.png) ![](/img/old.png) ![](http://a.example/x.png) ![](logo.svg)",
        **{"logo.svg": b"<svg/>"},
    )
    report = import_directory(source)
    assert report.created == 1
    assert [warning.message.split(";")[0].split(":")[0] for warning in report.warnings] == [
        "image gone.png is missing",
        "image /img/old.png isn't shown",
        "image http",
        "image logo.svg isn't shown",
    ]
    assert '<span class="missing">Image: A chart</span>' in Post.objects.get().body_html
    write(source / "async" / "gone.png", picture())
    assert import_directory(source).updated == 1
    assert "<img" in Post.objects.get().body_html


@pytest.mark.django_db
def test_files_that_are_no_posts_are_left_alone(source: Path) -> None:
    write(source / "README.md", "# Read me\n\nNo front matter.")
    write(source / "LICENSE", "MIT")
    write(source / "_index.md", "+++\n+++\n")
    write(source / ".git" / "x.md", "+++\nbroken")
    write(source / "b.md", YAML.format(body="Text"))
    report = import_directory(source)
    assert (report.found, report.created, report.failed) == (2, 1, [])
    assert [(remark.file, remark.message) for remark in report.skipped] == [("README.md", "no front matter")]


@pytest.mark.django_db
def test_links_out_of_the_folder_are_not_followed(source: Path, tmp_path: Path) -> None:
    write(tmp_path / "outside.md", YAML.format(body="Secret"))
    write(tmp_path / "outside.png", picture())
    (source / "linked.md").symlink_to(tmp_path / "outside.md")
    (source / "linked.png").symlink_to(tmp_path / "outside.png")
    (source / "loop.md").symlink_to(source / "loop.md")
    write(source / "post.md", YAML.format(body="![x](linked.png)"))
    report = import_directory(source)
    assert {remark.file for remark in report.failed} == {"linked.md", "loop.md", "post.md"}
    assert not Post.objects.exists()


@pytest.mark.django_db
def test_two_posts_of_one_name_get_addresses_of_their_own(source: Path) -> None:
    for year in ("2014", "2015", "2016"):
        write(source / f"{year}.md", f'+++\npath="{year}/09/15/Rust-1.0"\ntitle="x"\nauthors=["A"]\n+++\nText')
    write(source / "new.md", '+++\npath="2017/01/01/new"\ntitle="x"\nauthors=["A"]\n+++\nText')
    write(source / "zz.md", '+++\npath="2014/09/15/Rust-1.0"\ntitle="x"\nauthors=["A"]\n+++\nText')
    report = import_directory(source)
    slugs = set(Post.objects.values_list("slug", flat=True))
    assert slugs == {"rust-1-0", "rust-1-0-2015-09-15", "rust-1-0-2016-09-15", "new-2017-01-01"}
    assert [remark.message for remark in report.failed] == ["it has the same path as 2014.md; give it another"]


@pytest.mark.django_db
def test_names_of_files_may_be_anything(source: Path) -> None:
    write(source / "b\x1b[31m.md", YAML.format(body="Text"))
    (source / "x").mkdir()
    with open(os.fsencode(source) + b"/x/\xff.md", "w") as file:
        file.write(YAML.format(body="Text"))
    report = import_directory(source)
    assert report.created == 1
    assert [(remark.file, remark.message) for remark in report.failed] == [
        ("x/\\xff.md", "the name of the file is not UTF-8; rename it")
    ]


@pytest.mark.django_db
def test_a_rollback_leaves_no_rows_and_no_files(source: Path, media: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: Any, **kwargs: Any) -> None:
        assert len(files_in(media)) == 1  # the image is stored by now
        raise ImportFileError("the power went")

    bundle(source)
    monkeypatch.setattr(batches, "_create", fail)  # of all that waits, and then of each by itself
    monkeypatch.setattr(writing, "insert_with_free_slug", fail)
    report = import_directory(source)
    assert [remark.message for remark in report.failed] == ["the power went"]
    assert not Post.objects.exists()
    assert not User.objects.filter(username="niko-matsakis").exists()
    assert files_in(media) == []


@pytest.mark.django_db
def test_a_dry_run_tries_everything_and_keeps_nothing(source: Path, media: Path) -> None:
    bundle(source)
    write(source / "bad.md", "+++\nbroken")
    report = import_directory(source, is_dry_run=True)
    assert (report.created, report.images, len(report.failed)) == (1, 1, 1)
    assert not Post.objects.exists()
    assert files_in(media) == []


def test_no_front_matter_is_told_apart(source: Path) -> None:
    for text in ("", "# Title", "+++", "--- \nx"):
        with pytest.raises(NoFrontMatterError if text != "--- \nx" else ImportFileError):
            read_document(write(source / "x.md", text), source)


# --- the command ---------------------------------------------------------------------------------------------------


def run(*arguments: str) -> tuple[str, int]:
    out = StringIO()
    try:
        call_command("import_posts", *arguments, stdout=out, stderr=out)
    except SystemExit as end:
        return out.getvalue(), int(end.code or 0)
    return out.getvalue(), 0


@pytest.mark.django_db
def test_the_command_says_what_it_did_and_why_it_failed(
    source: Path, new_events: Callable[[str], QuerySet[Event]]
) -> None:
    write(source / "b.md", YAML.format(body="Text"))
    text, code = run(str(source))
    assert (text, code) == (
        "1 of 1 posts: 1 created, 0 updated, 0 unchanged, 0 skipped, 0 failed, 0 images stored.\n",
        0,
    )
    assert new_events("blog.post.created").get().context["reason"] == f"import_posts {source}"
    write(source / "bad\x1b[2J.md", "+++\nbroken\n+++\n")
    text, code = run(str(source))
    assert code == 1
    assert "FAILED   bad?[2J.md: its TOML front matter is broken" in text
    assert "1 of 2 posts: 0 created, 0 updated, 1 unchanged" in text


@pytest.mark.django_db
def test_the_command_speaks_json(source: Path) -> None:
    bundle(source)
    text, code = run(str(source), "--format", "json", "--dry-run")
    report = json.loads(text)
    assert code == 0
    assert (report["created"], report["images"], report["dry_run"]) == (1, 1, True)
    assert not Post.objects.exists()


def test_the_command_wants_a_folder(tmp_path: Path) -> None:
    text, code = run(str(tmp_path / "none"))
    assert code == 2
    assert "is no folder" in text


def test_a_report_counts_what_is_here_now() -> None:
    assert Report(found=4, created=1, updated=1, unchanged=1).imported == 3
