"""Runs a management command; failures of the surroundings end in one line that says what to do, not a traceback."""

import sys


def run(arguments: list[str]) -> int:
    """Run the command and return the exit code."""
    try:
        if arguments[1:2] == ["up"]:
            # It only starts other processes, so it doesn't wait a second for all the apps to load.
            from config.management.commands.up import Command

            Command().run_from_argv(arguments)
        else:
            from django.core.management import execute_from_command_line

            from telemetry.commands import command_context

            with command_context(arguments):
                execute_from_command_line(arguments)
    except KeyboardInterrupt:
        return 130
    except Exception as error:
        line = explain(error)
        if line is None or "--traceback" in arguments:
            raise
        print(line, file=sys.stderr)  # noqa: T201
        return 1
    return 0


def explain(error: BaseException) -> str | None:
    """Return one line for a failure that isn't the code's: settings, or a server that doesn't run. Else None."""
    from django.core.exceptions import ImproperlyConfigured
    from environs import EnvError

    link: BaseException | None = error
    while link is not None:
        if isinstance(link, ImproperlyConfigured | EnvError):
            return " ".join(str(link).split())
        if _is_unreachable_database(link):
            return _say_is_down("PostgreSQL", "IS_DATABASE_EMBEDDED", "DATABASE_URL")
        if _is_unreachable_redis(link):
            return _say_is_down("Redis", "IS_REDIS_EMBEDDED", "REDIS_URL")
        link = link.__cause__ or (None if link.__suppress_context__ else link.__context__)
    return None


def _is_unreachable_database(error: BaseException) -> bool:
    import psycopg

    # A server that answered gives a code; none at all means that no connection came about or stayed.
    return isinstance(error, psycopg.OperationalError) and error.sqlstate is None


def _is_unreachable_redis(error: BaseException) -> bool:
    from redis.exceptions import BusyLoadingError, ConnectionError

    return isinstance(error, ConnectionError) and not isinstance(error, BusyLoadingError)


def _say_is_down(server: str, embedded_setting: str, variable: str) -> str:
    from django.conf import settings

    if getattr(settings, embedded_setting):
        return f"{server} isn't running in {settings.LOCAL_DIR}. Start the platform with `make run`."
    return f"{server} doesn't answer. Start it, or mend {variable}."
