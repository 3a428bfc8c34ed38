"""How each library learns who acts: its own context, entered anew for each operation, as for each request.

`request()` makes what a web server or another middleware would have made, and isn't timed; `within()` is the library's
own part, and is.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

ADDRESS = "203.0.113.9"
PATH = "/articles/first/"


def request_maker(library: str, user: Any) -> Callable[[], Any]:
    """Return a function that makes the request of one operation."""
    if library in ("ledger", "ledger_telemetry"):
        from telemetry.context import Actor, Context, new_request_id

        actor = Actor("user", str(user.pk), user.username)

        def context() -> Context:
            return Context(
                request_id=new_request_id(),
                origin="http",
                operation="POST /articles/<slug>/",
                actor_source=actor,
                client_address=ADDRESS,
                user_agent="Mozilla/5.0",
            )

        return context

    def http_request() -> Any:
        from django.http import HttpRequest

        request = HttpRequest()
        request.method, request.path, request.user = "POST", PATH, user  # type: ignore[attr-defined]
        request.META["REMOTE_ADDR"] = ADDRESS
        return request

    return http_request


def entrance(library: str) -> Callable[[Any], AbstractContextManager[Any]]:
    """Return the library's own context manager, which takes the request."""
    if library.startswith("bare"):
        nothing = nullcontext()
        return lambda request: nothing
    if library in ("ledger", "ledger_telemetry"):
        from telemetry.context import use

        return use
    within: Callable[[Any], AbstractContextManager[Any]] = globals()[f"_{library}"]
    return within


def _pghistory(request: Any) -> AbstractContextManager[Any]:
    import pghistory

    context: AbstractContextManager[Any] = pghistory.context(user=request.user.pk, url=request.path)
    return context


def _simple_history(request: Any) -> AbstractContextManager[Any]:
    from simple_history.middleware import _context_manager

    manager: AbstractContextManager[Any] = _context_manager(request)
    return manager


def _auditlog(request: Any) -> AbstractContextManager[Any]:
    from auditlog.context import set_actor

    manager: AbstractContextManager[Any] = set_actor(request.user, remote_addr=request.META["REMOTE_ADDR"])
    return manager


@contextmanager
def _reversion(request: Any) -> Any:
    import reversion

    with reversion.create_revision():
        reversion.set_user(request.user)
        yield


@contextmanager
def _easyaudit(request: Any) -> Any:
    from easyaudit.middleware import easyaudit

    easyaudit._thread_locals.request = request
    try:
        yield
    finally:
        easyaudit.clear_request()
