"""Production starts with good settings alone, and says what is wrong with others."""

import json
import os
import secrets
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
GOOD = {
    "SECRET_KEY": secrets.token_urlsafe(50),
    "ALLOWED_HOSTS": "glass.example,www.glass.example",
    "DATABASE_URL": "postgres://glasshouse:pa55word@127.0.0.1:1/glasshouse",
    "REDIS_URL": "redis://127.0.0.1:1",
}


def run(*arguments: str, tmp_path: Path, **changes: str) -> "subprocess.CompletedProcess[str]":
    """Run Python in production, with nothing of this environment but where programs are."""
    environment = {
        "PATH": os.environ["PATH"],
        "LOCAL_DIR": str(tmp_path),
        "DJANGO_SETTINGS_MODULE": "config.settings.production",
        "PYTHONPATH": os.pathsep.join([str(PROJECT / "platform"), str(PROJECT)]),
        **GOOD,
        **changes,
    }
    return subprocess.run(
        [sys.executable, *arguments],
        env={name: value for name, value in environment.items() if value},
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def test_djangos_deployment_checks_find_nothing(tmp_path: Path) -> None:
    done = run("platform/manage.py", "check", "--deploy", "--fail-level", "INFO", tmp_path=tmp_path)
    assert (done.returncode, done.stdout) == (0, "System check identified no issues (0 silenced).\n"), done.stderr


REFUSED = [
    ({"SECRET_KEY": ""}, "SECRET_KEY is missing or weak. Set it to at least 50 random characters"),
    ({"SECRET_KEY": "short"}, "SECRET_KEY is missing or weak."),
    ({"SECRET_KEY": "ab" * 40}, "SECRET_KEY is missing or weak."),
    ({"SECRET_KEY": "development-only-not-a-secret-" + "0123456789abcdefghij" * 3}, "SECRET_KEY is missing or weak."),
    ({"SECRET_KEY": "django-insecure-" + "0123456789abcdefghij" * 3}, "SECRET_KEY is missing or weak."),
    ({"DEBUG": "1"}, "DEBUG is on. Unset it"),
    ({"ALLOWED_HOSTS": ""}, "ALLOWED_HOSTS is empty or holds a wildcard."),
    ({"ALLOWED_HOSTS": "glass.example,*"}, "ALLOWED_HOSTS is empty or holds a wildcard."),
    ({"ALLOWED_HOSTS": "*.glass.example"}, "ALLOWED_HOSTS is empty or holds a wildcard."),
    ({"DATABASE_URL": ""}, "DATABASE_URL is not set."),
    ({"REDIS_URL": ""}, "REDIS_URL is not set."),
    ({}, ""),
]
# One process for all, which forks once what takes long to import is there.
TRY_ALL = """
import json, os, sys
import celery, dj_database_url, django.conf, django_stubs_ext, environs
for changes in json.loads(sys.argv[1]):
    if not os.fork():
        os.environ.update({name: value for name, value in changes.items() if value})
        for name in (name for name, value in changes.items() if not value):
            del os.environ[name]
        try:
            import config.settings.production
        except django.conf.ImproperlyConfigured as error:
            print(error, flush=True)
        else:
            print(flush=True)
        os._exit(0)
    os.wait()
"""


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """What production says to each of the settings, a line each."""
    changes = json.dumps([changes for changes, _ in REFUSED])
    done = run("-c", TRY_ALL, changes, tmp_path=tmp_path_factory.mktemp("local"))
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()


@pytest.mark.parametrize("number", range(len(REFUSED)), ids=[str(changes)[:60] for changes, _ in REFUSED])
def test_production_refuses_what_is_unsafe_and_says_what_to_do(answers: list[str], number: int) -> None:
    changes, message = REFUSED[number]
    assert len(answers) == len(REFUSED)
    assert answers[number].startswith(message)
    assert bool(answers[number]) == bool(message)
    assert not changes.get("SECRET_KEY") or changes["SECRET_KEY"] not in answers[number].replace("SECRET_KEY", "")


def test_a_command_refuses_in_one_line(tmp_path: Path) -> None:
    done = run("platform/manage.py", "check", tmp_path=tmp_path, SECRET_KEY="short")
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert "SECRET_KEY is missing or weak." in done.stderr


def test_behind_a_pooler_no_cursor_lives_longer_than_its_transaction(tmp_path: Path) -> None:
    script = "from django.conf import settings; print(settings.DATABASES['default']['DISABLE_SERVER_SIDE_CURSORS'])"
    assert run("-c", script, tmp_path=tmp_path).stdout == "False\n"
    assert run("-c", script, tmp_path=tmp_path, DATABASE_IS_POOLED="true").stdout == "True\n"


def test_hosts_may_be_listed_with_spaces(tmp_path: Path) -> None:
    code = "from config.settings import production; print(production.ALLOWED_HOSTS)"
    done = run("-c", code, tmp_path=tmp_path, ALLOWED_HOSTS="a.example, b.example,")
    assert done.stdout == "['a.example', 'b.example']\n"


def test_production_has_no_demo_accounts_and_secure_cookies(tmp_path: Path) -> None:
    code = (
        "from config.settings import production as p; "
        "print(p.DEMO_PASSWORD, p.DEBUG, p.SESSION_COOKIE_SECURE, p.CSRF_COOKIE_SECURE, p.SECURE_SSL_REDIRECT)"
    )
    done = run("-c", code, tmp_path=tmp_path, DEMO_PASSWORD="known")
    assert done.stdout == "None False True True True\n", done.stderr


def test_the_mail_server_comes_from_the_environment_and_without_one_mails_are_printed(tmp_path: Path) -> None:
    code = (
        "from config.settings import production as p; "
        "print(p.EMAIL_BACKEND.split('.')[-2], p.EMAIL_HOST, p.EMAIL_PORT, p.EMAIL_USE_TLS, p.EMAIL_USE_SSL, "
        "p.PUBLIC_URL, p.DEFAULT_FROM_EMAIL)"
    )
    site = "https://glass.example Glasshouse <glasshouse@glass.example>"
    assert run("-c", code, tmp_path=tmp_path).stdout == f"console  587 True False {site}\n"
    given = {
        "EMAIL_HOST": "mail.example",
        "EMAIL_PORT": "465",
        "EMAIL_HOST_USER": "me",
        "EMAIL_HOST_PASSWORD": "secret",
    }
    done = run("-c", code, tmp_path=tmp_path, **given)
    assert done.stdout == f"smtp mail.example 465 False True {site}\n"


def test_in_development_mails_are_files(tmp_path: Path) -> None:
    code = "from config.settings import development as d; print(d.EMAIL_BACKEND.split('.')[-2], d.EMAIL_FILE_PATH)"
    assert run("-c", code, tmp_path=tmp_path).stdout == f"filebased {tmp_path / 'mail'}\n"
