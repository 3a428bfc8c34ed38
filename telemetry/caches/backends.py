"""Every backend that `django.core.cache.caches` makes, watched by a subclass of its own class.

Backends call their own methods: `get_or_set` gets and adds, `aget` runs `get` in a thread. What the caller asked for is
what counts, and what a cache asks of itself meanwhile isn't counted again.
"""

import sys
from collections.abc import Callable
from contextlib import suppress
from contextvars import ContextVar
from functools import cache, wraps
from inspect import iscoroutinefunction
from time import perf_counter_ns
from typing import Any

from django.core.cache import BaseCache, CacheHandler, caches

from telemetry.caches.operations import Operation, OperationCall
from telemetry.faults import FAULTS

_MISSING = object()
_SYSTEMS = ("redis", "valkey", "memcached")
_FALSE_IF_MISSING = frozenset({"has_key", "touch"})
_RAISING_IF_MISSING = frozenset({"decr", "decr_version", "incr", "incr_version"})

# The running operation. Plainly set and not reset by a token: a coroutine may be closed in another context.
_running: ContextVar[OperationCall | None] = ContextVar("telemetry_cache_operation", default=None)

Arguments = tuple[Any, ...]
Options = dict[str, Any]
# Takes what an operation is called with, begins it, and gives the arguments to call it with; options are changed.
Preparation = Callable[[Operation, Arguments, Options], tuple[OperationCall, Arguments]]


@cache
def connect() -> None:
    """Watch every cache from now on; a second call does nothing."""
    create = CacheHandler.create_connection

    @wraps(create)
    def create_connection(self: CacheHandler, alias: str) -> BaseCache:
        backend = create(self, alias)
        try:
            watch(backend, alias)
        except Exception:  # such as a class that may have no subclass: it works on, unwatched
            FAULTS.labels("cache").inc()
        return backend

    CacheHandler.create_connection = create_connection  # type: ignore[method-assign]
    for alias in caches:
        with suppress(AttributeError):  # none was made yet
            del caches[alias]


def watch(backend: BaseCache, alias: str) -> None:
    """Watch one backend, known as `alias`."""
    original: Any = type(backend)
    backend.__class__ = _watched(original, alias, "_ignore_exceptions" in vars(backend))


@cache
def _watched(original: type[BaseCache], alias: str, can_ignore: bool) -> type[BaseCache]:
    members: dict[str, Any] = {"__module__": original.__module__, "__doc__": original.__doc__}
    system = _system_of(original)
    for name, prepare in _PREPARATIONS.items():
        operation = Operation(alias, system, name)
        if method := getattr(original, name, None):
            members[name] = _sync(method, operation, prepare)
        if method := getattr(original, f"a{name}", None):
            members[f"a{name}"] = _async(method, operation, prepare)
    if can_ignore:
        members["_ignore_exceptions"] = property(_read_ignore_exceptions, _write_ignore_exceptions)
    return type(original.__name__, (original,), members)


def _system_of(backend: type[BaseCache]) -> str:
    """The backend as `db.system.name`: `redis`, or what its class is called, such as `locmem`."""
    for base in backend.__mro__:
        for system in _SYSTEMS:
            if system in base.__name__.lower():
                return system
    return backend.__name__.lower().removesuffix("cache")


def _sync(method: Any, operation: Operation, prepare: Preparation) -> Any:
    cache_name = operation.cache_name

    @wraps(method)
    def watched(self: BaseCache, *args: Any, **kwargs: Any) -> Any:
        outer = _running.get()
        if outer is not None and outer.operation.cache_name == cache_name:
            return method(self, *args, **kwargs)
        call, args = prepare(operation, args, kwargs)
        _running.set(call)
        try:
            answer = method(self, *args, **kwargs)
        except BaseException as error:
            _fail(call, error)
            raise
        finally:
            _running.set(outer)
        return _end(call, answer)

    return watched


def _async(method: Any, operation: Operation, prepare: Preparation) -> Any:
    cache_name = operation.cache_name

    @wraps(method)
    async def watched(self: BaseCache, *args: Any, **kwargs: Any) -> Any:
        outer = _running.get()
        if outer is not None and outer.operation.cache_name == cache_name:
            return await method(self, *args, **kwargs)
        call, args = prepare(operation, args, kwargs)
        _running.set(call)
        try:
            answer = await method(self, *args, **kwargs)
        except BaseException as error:
            _fail(call, error)
            raise
        finally:
            _running.set(outer)
        return _end(call, answer)

    return watched


# --- what each operation is called with --------------------------------------------------------------------------


def _prepare(operation: Operation, args: Arguments, kwargs: Options) -> tuple[OperationCall, Arguments]:
    return OperationCall(operation, args[:1] or [kwargs[name] for name in ("key", "pattern") if name in kwargs]), args


def _prepare_get(operation: Operation, args: Arguments, kwargs: Options) -> tuple[OperationCall, Arguments]:
    """A stored value may equal the default, so the cache is asked with a default that nobody can have stored."""
    call, args = _prepare(operation, args, kwargs)
    if len(args) > 1:
        call.default = args[1]
        args = (args[0], _MISSING, *args[2:])
    else:
        call.default = kwargs.get("default")
        kwargs["default"] = _MISSING
    return call, args


def _prepare_many(operation: Operation, args: Arguments, kwargs: Options) -> tuple[OperationCall, Arguments]:
    """Keys may come from a generator, which can be read only once."""
    if args:
        args = (list(args[0]), *args[1:])
    elif "keys" in kwargs:
        kwargs["keys"] = list(kwargs["keys"])
    return OperationCall(operation, args[0] if args else kwargs.get("keys", ())), args


def _prepare_set_many(operation: Operation, args: Arguments, kwargs: Options) -> tuple[OperationCall, Arguments]:
    return OperationCall(operation, args[0] if args else kwargs.get("data", ())), args


def _prepare_get_or_set(operation: Operation, args: Arguments, kwargs: Options) -> tuple[OperationCall, Arguments]:
    call, args = _prepare(operation, args, kwargs)
    if len(args) > 1:
        args = (args[0], _value_for(call, args[1]), *args[2:])
    elif "default" in kwargs:
        kwargs["default"] = _value_for(call, kwargs["default"])
    return call, args


def _value_for(call: OperationCall, default: Any) -> Any:
    """A function that gives the value, and notes that it was asked for: the key wasn't there."""
    if iscoroutinefunction(default):  # not Django's own way: whichever backend takes it must see what it is
        return default

    def made() -> Any:
        call.has_missed = True
        if not callable(default):
            return default
        begun_ns = perf_counter_ns()
        _running.set(None)  # what it asks of caches counts by itself
        try:
            return default()
        except BaseException as error:
            call.others_error = error
            raise
        finally:
            call.others_ns += perf_counter_ns() - begun_ns
            _running.set(call)

    return made


_PREPARATIONS: dict[str, Preparation] = {
    **dict.fromkeys(("add", "clear", "decr", "decr_version", "delete", "has_key"), _prepare),
    **dict.fromkeys(("incr", "incr_version", "set", "touch"), _prepare),
    "delete_pattern": _prepare,  # of django-redis
    "get": _prepare_get,
    "get_many": _prepare_many,
    "delete_many": _prepare_many,
    "set_many": _prepare_set_many,
    "get_or_set": _prepare_get_or_set,
}


# --- what came of it -----------------------------------------------------------------------------------------------


def _end(call: OperationCall, answer: Any) -> Any:
    """Note an operation that answered, and return what its caller gets."""
    name = call.operation.name
    if answer is _MISSING:
        call.has_missed = True
        answer = call.default
    elif name in _FALSE_IF_MISSING:
        call.has_missed = not answer
    elif name == "set_many" and answer:  # the keys that weren't set
        call.error_type = call.error_type or "KeysNotSet"
    call.end(answer if name == "get_many" and not call.error_type else None)
    return answer


def _fail(call: OperationCall, error: BaseException) -> None:
    """Note an operation that raised."""
    if isinstance(error, ValueError) and call.operation.name in _RAISING_IF_MISSING:
        call.has_missed = True  # so Django says that there's no such key
    elif error is not call.others_error:
        call.error_type = type(error).__name__
    call.end()


def _read_ignore_exceptions(backend: Any) -> Any:
    """django-redis reads its setting only when an operation has failed, which it then keeps to itself."""
    is_ignored = vars(backend)["_ignore_exceptions"]
    call, error = _running.get(), sys.exception()
    if is_ignored and call is not None and error is not None:
        call.error_type = type(error.__cause__ or error).__name__
    return is_ignored


def _write_ignore_exceptions(backend: Any, is_ignored: Any) -> None:
    vars(backend)["_ignore_exceptions"] = is_ignored
