"""Pages are made before anybody asks: by the command, by beat, after an import."""

import json
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client
from django.urls import path

from accounts.models import User
from blog import limits, tasks
from blog.caching import warming
from blog.models import Post, Status
from caching import entries
from caching.levels import PAGES, forget_process
from config.urls import urlpatterns as of_the_platform
from tests.blog.test_pages import fill
from tests.caching.conftest import redis_away  # noqa: F401  # a fixture

pytestmark = pytest.mark.django_db(transaction=True)

urlpatterns = [path("", lambda request: None), *of_the_platform]  # whose home isn't kept


@pytest.fixture(autouse=True)
def blog(no_looks_at_maintenance: None) -> Iterator[None]:
    forget_process()
    fill(User.objects.create_user("anna"), 6)
    yield
    forget_process()


def run(*arguments: str) -> tuple[int, str, str]:
    out, err = StringIO(), StringIO()
    code = 0
    try:
        call_command("warm_cache", *arguments, stdout=out, stderr=err)
    except SystemExit as error:
        code = int(str(error.code))
    return code, out.getvalue(), err.getvalue()


def test_what_was_warmed_costs_the_first_visitor_no_query(django_assert_num_queries: Any) -> None:
    assert run("--posts", "4")[0] == 0
    forget_process()  # the web process is another
    for address in ("/", "/blog/", *(f"/blog/post-{number}/" for number in range(4))):
        with django_assert_num_queries(0):
            assert Client().get(address).status_code == 200


def test_it_tells_people_and_programs_what_it_did() -> None:
    code, out, _ = run("--posts", "2", "--format", "json")
    told = json.loads(out)
    assert code == 0
    assert told.pop("seconds") > 0
    assert told == {"found": 4, "made": 4, "kept": 0, "failed": {}}
    assert run("--posts", "3")[1].startswith("1 pages made, 4 were there, 0 failed, in ")


def test_pages_of_the_archive_are_warmed_as_far_as_their_posts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "POSTS_PER_PAGE", 2)
    assert warming.warm_cache(posts=3).made == 2 + 1 + 3
    assert PAGES.recall("/blog/?page=2") is not None
    assert PAGES.recall("/blog/?page=3") is None
    assert warming.warm_cache(posts=999).found == 2 + 2 + 6


def test_an_empty_blog_is_warmed_too() -> None:
    Post.objects.all().delete()
    assert warming.warm_cache().made == 2
    assert warming.warm_cache(posts=0).kept == 2


def test_progress_is_told_page_by_page() -> None:
    told: list[tuple[int, int, str]] = []
    warming.warm_cache(posts=1, progress=lambda *now: told.append(now))
    assert told == [(0, 3, "/"), (1, 3, "/blog/"), (2, 3, "/blog/post-0/"), (3, 3, "")]


def test_what_is_half_over_is_renewed_with_its_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    warming.warm_cache()
    made_at = entries.time.time()
    monkeypatch.setattr(entries.time, "time", lambda: made_at + 200)
    assert warming.warm_cache().kept == 0
    monkeypatch.setattr(entries.time, "time", lambda: made_at + 400)  # longer than anything of the first time lives
    forget_process()
    assert PAGES._look("/") is not None
    assert warming.warm_cache().kept == 0


def test_a_page_that_can_not_be_kept_is_named_and_the_exit_code_says_so(settings: Any) -> None:
    settings.ROOT_URLCONF = "tests.blog.test_warming"
    code, out, _ = run("--posts", "1")
    assert code == 1
    assert "FAILED /: " in out
    assert "2 pages made" in out


def test_without_redis_it_says_what_to_do(redis_away: Any) -> None:  # noqa: F811
    with redis_away():
        code, out, err = run()
        assert tasks.warm_cache() == 0
    assert (code, out) == (1, "")
    assert "REDIS_URL" in err


@pytest.mark.parametrize("odd", ["-1", "x", "1.5", "9999999"])
def test_an_odd_number_of_posts_is_refused(odd: str) -> None:
    with pytest.raises(Exception, match="no number of posts"):
        call_command("warm_cache", f"--posts={odd}")


def test_beat_keeps_pages_from_ever_being_over() -> None:
    assert tasks.warm_cache() == 8
    assert tasks.warm_cache() == 0


def test_after_an_import_its_posts_are_warm(tmp_path: Path, django_assert_num_queries: Any) -> None:
    (tmp_path / "new.md").write_text("+++\ntitle = 'Imported'\ndate = 2026-01-01\nauthor = 'Ida'\n+++\nText.\n")
    call_command("import_posts", str(tmp_path), stdout=StringIO())
    assert Post.objects.get(title="Imported").status == Status.PUBLISHED
    forget_process()
    with django_assert_num_queries(0):
        assert "Imported" in Client().get("/blog/").content.decode()
