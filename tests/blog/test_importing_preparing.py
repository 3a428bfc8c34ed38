"""Many files are made ready by other processes: the same comes of them, in the same order, and no process is left."""

import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from blog.errors import BlogError, InvalidError
from blog.importing import preparing
from blog.importing.bundles import markdown_files
from blog.importing.preparing import Source, prepared
from blog.importing.run import import_directory
from blog.models import Post
from tests.blog.conftest import picture
from tests.blog.test_importing import YAML, files_in, source, write
from tests.blog.test_importing_batches import imported, many

__all__ = ["source"]  # the fixture

Helpers = Callable[[], set[psutil.Process]]


@pytest.fixture
def helpers() -> Helpers:
    """Return a look at the processes that this one has started since, ended or not, and not waited for."""
    before = set(psutil.Process().children())
    return lambda: set(psutil.Process().children()) - before


@pytest.fixture
def two(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let two processes help, however few the files and the cores are."""
    monkeypatch.setattr(preparing, "_processes_for", lambda files: 2)


def spoil(source: Path) -> None:
    """Give three of the files something that's wrong with them."""
    write(source / "2" / "post.md", "---\ntitle: [x\n---\nText")
    write(source / "3" / "post.md", YAML.format(body="<div>" * 1_000))
    write(source / "4" / "a.png", b"not an image")
    write(source / "5" / "post.md", "no front matter")


@pytest.mark.django_db
def test_other_processes_make_the_same_of_it_in_the_same_order(
    source: Path, media: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    many(source)
    spoil(source)
    told = []
    for processes in (0, 2):
        monkeypatch.setattr(preparing, "_processes_for", lambda files, processes=processes: processes)
        Post.objects.all().delete()
        told.append((import_directory(source), imported()))
    assert told[0] == told[1]
    report, posts = told[0]
    assert [remark.file for remark in report.failed] == ["2/post.md", "3/post.md", "4/post.md"]
    assert [remark.file for remark in report.skipped] == ["5/post.md"]
    assert len(posts) == report.created == 8
    assert import_directory(source).unchanged == 8


@pytest.mark.usefixtures("two")
def test_no_process_is_left_however_it_ends(source: Path, helpers: Helpers) -> None:
    many(source)
    asked = Source(source, "", frozenset())
    with pytest.raises(KeyboardInterrupt), prepared(asked, markdown_files(source)) as given:
        next(given)
        assert len(helpers()) == 2
        raise KeyboardInterrupt
    assert helpers() == set()


@pytest.mark.usefixtures("two")
def test_where_a_process_is_killed_the_rest_is_done_without_it(source: Path, helpers: Helpers) -> None:
    many(source)
    files = markdown_files(source)
    with prepared(Source(source, "", frozenset()), files) as given:
        first = [next(given)]
        for helper in helpers():
            helper.kill()
        found = first + list(given)
    assert [one[0].file for one in found if not isinstance(one, BlogError)] == files


def test_few_files_are_prepared_here(source: Path, helpers: Helpers) -> None:
    many(source, 3)
    with prepared(Source(source, "", frozenset()), markdown_files(source)) as given:
        next(given)
        assert helpers() == set()


def test_images_are_decoded_ahead_for_new_posts_alone(source: Path) -> None:
    file = write(source / "p.md", YAML.format(body="![x](a.png)"))
    write(source / "a.png", picture())
    document, bundle = Source(source, "", frozenset()).prepare(file)
    assert list(bundle.checked) == ["a.png"]
    assert Source(source, "", frozenset({document.identity})).prepare(file)[1].checked == {}


def test_many_large_images_of_one_post_are_not_all_held(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("blog.importing.bundles._MOST_AHEAD_BYTES", 1)
    file = write(source / "p.md", YAML.format(body="![x](a.png) ![x](b.png)"))
    for name in ("a.png", "b.png"):
        write(source / name, picture())
    bundle = Source(source, "", frozenset()).prepare(file)[1]
    assert (list(bundle.found), list(bundle.checked)) == (["a.png", "b.png"], ["a.png"])


@pytest.mark.django_db
def test_what_was_not_decoded_ahead_is_stored_all_the_same(
    source: Path, media: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("blog.importing.bundles._MOST_AHEAD_BYTES", 0)
    many(source, 2)
    assert import_directory(source).images == 2
    assert len(files_in(media)) == 2


def test_an_error_tells_the_same_in_another_process() -> None:
    error: Any = pickle.loads(pickle.dumps(InvalidError(body="Too long.", title="Empty.")))  # noqa: S301
    assert (str(error), error.messages) == ("body: Too long.; title: Empty.", {"body": "Too long.", "title": "Empty."})


def test_a_process_that_helps_needs_no_settings() -> None:
    code = "import blog.importing.preparing, django.conf as c; print(c.settings.configured)"
    code = f"import sys; sys.path[:] = sys.argv[1:]; {code}"
    told = subprocess.run([sys.executable, "-c", code, *sys.path], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "False"


def test_a_process_that_helps_ends_where_nobody_listens(source: Path) -> None:
    many(source)
    command = [sys.executable, "-c", preparing.HELP, *sys.path]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as helper:
        assert helper.stdin
        assert helper.stdout
        helper.stdout.close()
        pickle.dump((Source(source, "", frozenset()), markdown_files(source)), helper.stdin)
        helper.stdin.close()
        assert helper.wait(timeout=60) == 0
