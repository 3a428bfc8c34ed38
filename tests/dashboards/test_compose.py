"""The compose file keeps the rules: nothing beyond this machine, no secret written down, bounds for all, an order."""

import json
import re
import subprocess
import sys
from typing import Any

import pytest
import yaml

from tests.dashboards import tools
from tests.dashboards.compose import FILE, SECRETS, resolved, services
from tests.dashboards.tools import PROJECT

PLATFORM = {"web", "sockets", "worker", "beat"}
# Their images hold no shell and no client.
WITHOUT_HEALTH_CHECK = {"otel-collector", "postgres-exporter", "redis-exporter", "migrate"}
PUBLISHED = {"proxy", "grafana", "prometheus", "alertmanager", "otel-collector"}
# Its new volume belongs to root, and its image can't change that.
RUNS_AS_ROOT = {"otel-collector", "proxy"}


@pytest.mark.parametrize("missing", sorted(SECRETS))
def test_each_secret_has_to_be_given(missing: str) -> None:
    given = {name: value for name, value in SECRETS.items() if name != missing}
    done = tools.run("docker-compose", "--file", FILE, "config", "--quiet", env=given)
    assert done.returncode != 0
    assert ".env.example" in done.stderr


def test_docker_compose_takes_the_file() -> None:
    done = tools.run("docker-compose", "--file", FILE, "config", "--quiet", env=SECRETS)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_the_example_names_every_variable_and_holds_no_secret() -> None:
    example = (PROJECT / ".env.example").read_text()
    named = dict(re.findall(r"^#?([A-Z_]+)=(.*)$", example, re.M))
    assert named.keys() == set(re.findall(r"(?<!\$)\$\{([A-Z_]+)", FILE.read_text()))
    assert {name: value for name, value in named.items() if name in SECRETS and value} == {}
    defaults = dict(re.findall(r"(?<!\$)\$\{([A-Z_]+):-([^}]*)}", FILE.read_text()))
    assert {name: named[name] for name in defaults} == {**defaults, "GRAFANA_ADMIN_USER": "admin"}


def test_no_secret_is_written_down() -> None:
    for name, value in re.findall(r"^\s+(\w*(?:PASSWORD|SECRET|_PASS)\w*): (.*)$", FILE.read_text(), re.M):
        assert re.match(r"\$\{[A-Z_]+:[?-]", value), name
        assert value.startswith("${EMAIL_") or ":?" in value, name


def test_nobody_but_the_migration_holds_the_owners_password() -> None:
    holders = {
        name
        for name, service in services().items()
        if SECRETS["DATABASE_OWNER_PASSWORD"] in yaml.safe_dump(service.get("environment", {}))
    }
    assert holders == {"migrate", "postgres"}
    assert all("PASSWORD" not in yaml.safe_dump(service.get("command", "")).replace("$$REDIS_PASSWORD", "")
               for service in services().values())  # fmt: skip


def test_ports_are_open_to_this_machine_alone() -> None:
    published = {name: service["ports"] for name, service in services().items() if service["ports"]}
    assert published.keys() == PUBLISHED
    for name, ports in published.items():
        for port in ports:
            assert re.match(r"127\.0\.0\.1:\d+:\d+(/tcp)?$", port), name


@pytest.mark.parametrize("name", sorted(yaml.safe_load(FILE.read_text())["services"]))
def test_a_service_is_bounded_and_hardened(name: str) -> None:
    service = services()[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service.get("cap_add", []) == (["NET_BIND_SERVICE"] if name == "proxy" else [])
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["pids_limit"] > 0
    assert "mem_limit" in service
    assert not {"privileged", "network_mode", "pid", "ipc", "devices"} & service.keys()
    assert service["restart"] == ("no" if name == "migrate" else "unless-stopped")
    assert (service.get("user") in ("0:0", "root")) <= (name in RUNS_AS_ROOT)
    assert not any("docker.sock" in str(volume) for volume in service["volumes"])


@pytest.mark.parametrize("name", sorted(yaml.safe_load(FILE.read_text())["services"]))
def test_a_services_lines_are_rotated(name: str) -> None:
    logging = services()[name]["logging"]
    if name in PLATFORM:
        assert logging["driver"] == "fluentd"
        assert logging["options"]["fluentd-async"] == "true"  # nobody waits for a collector that is away
        assert {"cache-max-size", "cache-max-file"} <= logging["options"].keys()
    else:
        assert logging["driver"] == "json-file"
        assert {"max-size", "max-file"} <= logging["options"].keys()


def test_every_image_is_pinned() -> None:
    for name, service in services().items():
        assert re.search(r":v?\d+\.\d+", service["image"]), name


def test_whoever_needs_another_waits_until_it_is_well() -> None:
    every = services()
    for name, service in every.items():
        has_check = "healthcheck" in service
        assert has_check != (name in WITHOUT_HEALTH_CHECK), name
        for other, how in service.get("depends_on", {}).items():
            wanted = "service_completed_successfully" if other == "migrate" else "service_healthy"
            assert how["condition"] == wanted, f"{name} on {other}"
            assert other not in WITHOUT_HEALTH_CHECK - {"migrate"}, f"{name} on {other}"
    for name in PLATFORM:
        assert every[name]["depends_on"].keys() == {"migrate", "postgres", "redis"}  # telemetry fails open
    assert every["proxy"]["depends_on"].keys() == {"web", "sockets"}
    assert every["grafana"]["depends_on"].keys() == {"prometheus", "loki", "tempo"}


def test_every_file_that_is_mounted_exists_and_can_be_read_alone() -> None:
    named = set(resolved()["volumes"])
    for name, service in services().items():
        for volume in service["volumes"]:
            source, target, *mode = volume.split(":")
            if source.startswith("/"):
                assert (PROJECT / source).exists() or source.endswith("dashboards/json"), f"{name}: {source}"
                assert mode == ["ro"], f"{name}: {target}"
            else:
                assert source in named


def test_stores_are_reached_by_those_that_need_them_alone() -> None:
    networks = {name: set(service["networks"]) for name, service in services().items()}
    assert networks["postgres"] == networks["redis"] == {"data"}
    assert {name for name, joined in networks.items() if "data" in joined} == {
        *PLATFORM,
        *("migrate", "postgres", "redis", "postgres-exporter", "redis-exporter"),
    }
    assert resolved()["networks"]["data"]["internal"] is True
    assert networks["proxy"] == {"front"}
    # Prometheus meets the web process in one network alone, so that it always comes from the address that is trusted.
    assert networks["web"] & networks["prometheus"] == {"front"}


def test_the_platform_trusts_the_proxy_and_prometheus_and_nobody_else() -> None:
    front = resolved()["networks"]["front"]["ipam"]["config"][0]
    addresses = [services()[name]["networks"]["front"]["ipv4_address"] for name in ("proxy", "prometheus")]
    for name in PLATFORM:
        assert services()[name]["environment"]["TRUSTED_PROXIES"].split(",") == addresses
    assert front["subnet"] == "172.30.83.0/24"
    assert front["ip_range"] == "172.30.83.128/25"  # whoever else comes gets none of those two


def settings_under(environment: dict[str, Any], code: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", f"import django; django.setup()\nfrom django.conf import settings\n{code}"],
        cwd=PROJECT / "platform",
        env={
            **{name: str(value) for name, value in environment.items()},
            "PYTHONPATH": f"{PROJECT / 'platform'}:{PROJECT}",
            "DJANGO_SETTINGS_MODULE": "config.settings.production",  # as the image has it
        },
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize("name", ["web", "migrate"])
def test_production_accepts_what_the_file_gives_a_service(name: str, tmp_path: Any) -> None:
    environment = {**services()[name]["environment"], "LOCAL_DIR": str(tmp_path)}
    told = settings_under(
        environment,
        "d = settings.DATABASES; print(d['default']['USER'], d['owner']['USER'], d['default']['HOST'], "
        "settings.AUDIT_APPLICATION_ROLE, settings.PUBLIC_URL, settings.ALLOWED_HOSTS[0], settings.DEMO_PASSWORD)",
    )
    owner = "glasshouse_owner" if name == "migrate" else "glasshouse_app"
    assert told == f"glasshouse_app {owner} postgres glasshouse_app https://localhost:8443 localhost None"


def test_processes_are_started_as_make_run_starts_them(tmp_path: Any) -> None:
    """What differs is said here: addresses, how many, and how long they take to end."""
    from config import parts

    ours = {
        "web": parts.web(8000, tmp_path, socket_port=8001),
        "sockets": parts.sockets(8001, tmp_path, web_port=8000),
        "worker": parts.worker(tmp_path),
        "beat": parts.beat(tmp_path),
    }
    differing = {"--host", "--workers", "--workers-kill-timeout", "--timeout-graceful-shutdown", "--concurrency"}
    for name, part in ours.items():
        local = options(list(part.program.arguments[1:]))
        composed = options(services()[name]["command"][1:])
        assert local.keys() == composed.keys(), name
        told_apart = {key for key in local if local[key] != composed[key]}
        assert told_apart <= differing | {"--log-config"}, name
    in_image = re.findall(r"^CMD (\[.*?\])$", (PROJECT / "Dockerfile").read_text(), re.M | re.S)[-1]
    assert options(json.loads(in_image.replace("\\\n", ""))).keys() == {
        "python",
        *options(services()["web"]["command"]),
    }


def options(arguments: list[str]) -> dict[str, str]:
    """Return options with their values, however they are written; what is none stands for itself."""
    found: dict[str, str] = {}
    rest = list(arguments)
    while rest:
        word = rest.pop(0)
        key, is_joined, value = word.partition("=")
        if is_joined:
            found[key] = value
        elif (
            word.startswith("--") and rest and not rest[0].startswith("-") and word not in {"--quiet", "--skip-checks"}
        ):
            found[word] = rest.pop(0)
        else:
            found[word] = ""
    return found
