"""docker-compose.yml, .env, the locks and what the pages say about them agree; nothing of it needs Docker."""

import re
from pathlib import Path

import pytest
import yaml
from dotenv import dotenv_values

ROOT = Path(__file__).parents[2]
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SETTINGS = dotenv_values(ROOT / ".env")
OPERATIONS = (ROOT / "docs" / "operations.md").read_text()
PINS = re.compile(r"^([a-z0-9.-]+)==(\S+)", re.MULTILINE)


def test_every_variable_of_the_stack_has_a_default() -> None:
    text = (ROOT / "docker-compose.yml").read_text()
    assert set(re.findall(r"(?<!\$)\$\{([A-Z_]+)", text)) == set(SETTINGS)


def test_every_service_has_a_limit_and_a_health_check_and_comes_back() -> None:
    for name, service in COMPOSE["services"].items():
        assert service["mem_limit"].startswith("${"), name
        assert service["restart"] == "unless-stopped", name
        assert "healthcheck" in service or service["image"] == "${DSTK_IMAGE}", f"{name}: our image brings its own"
        assert service["cap_drop"] == ["ALL"], name


def test_our_services_serve_what_their_health_check_asks_for() -> None:
    ours = {name: each for name, each in COMPOSE["services"].items() if each["image"] == "${DSTK_IMAGE}"}
    assert ours
    for name, service in ours.items():
        assert service["environment"]["DSTK_OPERATIONS_LISTEN"] == "0.0.0.0:7180", name
    assert "check port 7180 " in (ROOT / "compose" / "haproxy.cfg").read_text()
    assert (
        'HEALTHCHECK --interval=3s --timeout=3s --retries=3 --start-period=30s CMD ["dstk-ready"]'
        in (ROOT / "Dockerfile").read_text()
    )


def test_our_services_send_traces_to_the_jaeger_of_the_stack() -> None:
    for name, service in COMPOSE["services"].items():
        if service["image"] == "${DSTK_IMAGE}":
            assert service["environment"]["DSTK_TRACE_ENDPOINT"] == "${DSTK_TRACE_ENDPOINT}", name
    assert SETTINGS["DSTK_TRACE_ENDPOINT"] == "", "without the profile there is no Jaeger"
    assert "DSTK_TRACE_ENDPOINT:-http://jaeger:4318}" in (ROOT / "scripts" / "stack").read_text()
    jaeger = yaml.safe_load((ROOT / "observability" / "jaeger" / "jaeger.yml").read_text())
    assert jaeger["receivers"]["otlp"]["protocols"]["http"]["endpoint"].endswith("0.0.0.0:4318}")


def test_the_metrics_service_keeps_its_history_and_its_console_may_call_admin() -> None:
    service = COMPOSE["services"]["metrics"]
    assert f"metrics:{service['environment']['DSTK_DATA_DIR']}" in service["volumes"]
    assert "admin:/run/dstk" in service["volumes"]
    assert service["environment"]["DSTK_ADMIN_TOKEN_FILE"].startswith("/run/dstk/")
    inside = service["environment"]["DSTK_CONSOLE_LISTEN"].rpartition(":")[2]
    assert service["ports"] == [f"127.0.0.1:${{DSTK_CONSOLE_PORT}}:{inside}"]
    assert f"docker compose port metrics {inside}" in (ROOT / "scripts" / "stack").read_text()
    assert SETTINGS["DSTK_CONSOLE_PORT"] == inside, "where every page says that the console is"


def test_ports_are_published_on_loopback_alone() -> None:
    published = [port for service in COMPOSE["services"].values() for port in service.get("ports", [])]
    assert published
    assert all(port.startswith("127.0.0.1:") for port in published)


def test_the_page_has_every_port_and_limit() -> None:
    for name, value in SETTINGS.items():
        if name.endswith("_PORT"):
            assert f"| {value} | `{name}` |" in OPERATIONS
        if name.endswith("_MEMORY"):
            assert f"| {value} | `{name}` |" in OPERATIONS


@pytest.mark.parametrize("lock", ["requirements-runtime.lock", "requirements-build.lock"])
def test_images_hold_the_versions_that_were_tested(lock: str) -> None:
    tested = dict(PINS.findall((ROOT / "requirements.lock").read_text()))
    text = (ROOT / lock).read_text()
    assert PINS.findall(text)
    assert dict(PINS.findall(text)).items() <= tested.items()
    assert "://" not in text, "a lock has names, versions and hashes, and no places"


def test_everything_but_elasticsearch_fits_into_3_gib() -> None:
    services = [
        each for each in COMPOSE["services"].values() if each.get("profiles", ["observability"]) == ["observability"]
    ]
    limits = [SETTINGS[service["mem_limit"].strip("${}")] or "" for service in services]
    assert all(limit.endswith("m") for limit in limits)
    assert sum(int(limit.removesuffix("m")) for limit in limits) <= 3 * 1024


def test_what_containers_mount_is_in_the_repository() -> None:
    for service in COMPOSE["services"].values():
        for mounted in service.get("volumes", []):
            source = str(mounted).split(":", maxsplit=1)[0]
            assert not source.startswith("./") or (ROOT / source).exists(), mounted
