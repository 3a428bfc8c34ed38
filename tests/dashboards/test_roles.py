"""The script that makes database and roles in the stack's PostgreSQL, run against a real one."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from config.embedded import addresses, postgres
from config.processes import stop_all
from tests.conftest import WaitUntil
from tests.dashboards.tools import DASHBOARDS

pytestmark = pytest.mark.long

PASSWORDS = {
    "DATABASE_OWNER_PASSWORD": 'it\'s "quoted" $(true)',
    "DATABASE_PASSWORD": "application",
    "DATABASE_MONITOR_PASSWORD": "monitor",
}
ROLES = ("glasshouse_owner", "glasshouse_app", "glasshouse_monitor")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Give a new cluster in which the script has run, and nothing else."""
    local_dir = tmp_path_factory.mktemp("roles")
    server = postgres.launch(local_dir, is_durable=False)
    try:
        _wait_until_it_answers(local_dir)
        subprocess.run(
            [DASHBOARDS / "postgresql" / "init-roles.sh"],
            env={
                "PATH": f"{postgres._binaries()}:/usr/bin:/bin",
                "PGHOST": str(addresses.socket_directory(local_dir)),
                "PGPORT": str(addresses.POSTGRES_PORT),
                "POSTGRES_USER": addresses.SUPERUSER,
                **PASSWORDS,
            },
            check=True,
            timeout=300,
        )
        yield local_dir
    finally:
        stop_all([server])


def _wait_until_it_answers(local_dir: Path) -> None:
    from tests.conftest import _wait_until

    def answers() -> bool:
        try:
            postgres.connect(local_dir, "postgres").close()
        except psycopg.OperationalError:
            return False
        return True

    wait: WaitUntil = _wait_until
    wait(answers, timeout=60)


def connect(local_dir: Path, role: str) -> psycopg.Connection:
    return psycopg.connect(addresses.database_url(local_dir, role), autocommit=True)


def test_the_roles_can_log_in_and_have_no_other_rights(cluster: Path) -> None:
    with postgres.connect(cluster) as superuser:
        found = superuser.execute(
            "SELECT rolname, rolcanlogin, rolsuper, rolcreatedb, rolcreaterole, rolpassword LIKE 'SCRAM-SHA-256$%%' "
            "FROM pg_authid WHERE rolname = ANY(%s)",
            [list(ROLES)],
        ).fetchall()
    assert sorted(found) == [(role, True, False, False, False, True) for role in sorted(ROLES)]


def test_the_owner_makes_tables_and_the_application_does_not(cluster: Path) -> None:
    with connect(cluster, "glasshouse_owner") as owner:
        owner.execute("CREATE TABLE made_by_owner ()")
    for role in ("glasshouse_app", "glasshouse_monitor"):
        with connect(cluster, role) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("CREATE TABLE public.made_by_another ()")


def test_the_monitor_sees_statistics_of_all_and_no_rows(cluster: Path) -> None:
    with connect(cluster, "glasshouse_owner") as owner:
        owner.execute("CREATE TABLE secrets (word text)")
        with connect(cluster, "glasshouse_monitor") as monitor:
            seen = monitor.execute("SELECT query FROM pg_stat_activity WHERE usename = 'glasshouse_owner'").fetchall()
            assert "CREATE TABLE secrets" in str(seen)
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                monitor.execute("SELECT * FROM public.secrets")


def test_rights_are_those_of_the_embedded_database(cluster: Path, superuser: psycopg.Connection) -> None:
    query = """
        SELECT pg_get_userbyid(datdba), pg_get_userbyid(nspowner), nspacl::text, datcollate, datlocprovider::text,
               array(SELECT acl::text FROM unnest(datacl) AS acl WHERE acl::text NOT LIKE 'glasshouse_monitor%')
        FROM pg_database, pg_namespace WHERE datname = 'glasshouse' AND nspname = 'public'
    """
    with postgres.connect(cluster) as connection:
        assert connection.execute(query).fetchone() == superuser.execute(query).fetchone()
