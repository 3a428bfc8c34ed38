"""A real Chromium, for tests of what people see."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.conftest import LONGEST_WAIT_SECONDS
from tests.kept import Keep
from tests.live import LivePlatform

_BROWSERS = ("chromium", "chromium-browser", "google-chrome")
_BROWSER_ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="module")
def browser(keep: Keep) -> Any:
    """Run the system's Chromium; the module holds no coroutine tests.

    Playwright's sync API keeps an event loop running in this thread, so pytest-asyncio can't run one here, and
    Django takes all ORM calls for calls from a coroutine unless told otherwise.
    """
    return keep("browser", _run)


@contextmanager
def _run() -> Iterator[Any]:
    executable = next(filter(None, map(shutil.which, _BROWSERS)), None)
    if executable is None:
        pytest.skip(f"no Chromium on the PATH (looked for {', '.join(_BROWSERS)})")
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=LONGEST_WAIT_SECONDS * 1_000)

    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")
        with sync_playwright() as playwright:
            chromium = playwright.chromium.launch(executable_path=executable, args=_BROWSER_ARGUMENTS)
            yield chromium
            chromium.close()


@pytest.fixture
def open_page(browser: Any, live_platform: LivePlatform) -> Iterator[Callable[..., Any]]:
    """Return a function that opens a page in a browser session of its own, one for each person of a story.

    Its arguments are those of Playwright's `new_context`. URLs may be paths. Uncaught errors in a page's scripts
    fail the test.
    """
    contexts: list[Any] = []
    errors: list[str] = []

    def open_one(**options: Any) -> Any:
        context = browser.new_context(**{"base_url": live_platform.web_url, **options})
        context.set_default_timeout(LONGEST_WAIT_SECONDS * 1_000)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: errors.append(f"{page.url}: {error}"))
        return page

    yield open_one
    for context in contexts:
        context.close()
    assert errors == []


@pytest.fixture
def page(open_page: Callable[..., Any]) -> Any:
    """Give one page of the live platform in a fresh browser session."""
    return open_page()
