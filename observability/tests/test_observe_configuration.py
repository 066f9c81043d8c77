"""promtool and amtool accept the configuration that ships, and alerts go to the receivers that they should."""

import re
import shutil
from pathlib import Path

import pytest
import yaml
from kit.programs import run

from dstk_observability.alertmanager import configuration
from dstk_observability.alerts import ALERTS, AREA_OF
from dstk_observability.alerts.kinds import Severity
from dstk_observability.external import JOBS

pytestmark = pytest.mark.observe

SHIPPED = Path(__file__).parents[1]
ALERTMANAGER = SHIPPED / "alertmanager" / "alertmanager.yml"


def test_prometheus_accepts_its_configuration() -> None:
    said = run("promtool", "check", "config", "--lint=all", "--lint-fatal", SHIPPED / "prometheus" / "prometheus.yml")
    assert "rules found" in said
    assert "FAILED" not in said


def test_the_configuration_in_the_documentation_is_accepted_with_the_rules(tmp_path: Path) -> None:
    page = (SHIPPED.parent / "docs" / "operations.md").read_text()
    (example,) = re.findall(r"```yaml\n(rule_files:.*?)```", page, flags=re.DOTALL)
    (tmp_path / "prometheus.yml").write_text(example)
    shutil.copytree(SHIPPED / "prometheus" / "rules", tmp_path / "rules")
    said = run("promtool", "check", "config", tmp_path / "prometheus.yml")
    rules = (tmp_path / "rules" / "dstk.yml").read_text()
    assert f"{rules.count('- alert:') + rules.count('- record:')} rules found" in said
    jobs = {job["job_name"]: job["static_configs"] for job in yaml.safe_load(example)["scrape_configs"]}
    assert jobs.keys() <= set(JOBS)
    assert all(static["labels"].keys() == {"cluster", "instance"} for each in jobs.values() for static in each)


def test_alertmanager_accepts_its_configuration(tmp_path: Path) -> None:
    assert "3 receivers" in run("amtool", "check-config", ALERTMANAGER)
    (tmp_path / "alertmanager.yml").write_text(configuration({Severity.PAGE: "http://127.0.0.1:1/page"}))
    assert "SUCCESS" in run("amtool", "check-config", tmp_path / "alertmanager.yml")


@pytest.mark.parametrize("severity", Severity)
def test_each_severity_has_a_receiver_of_its_own(severity: Severity) -> None:
    alert = next(alert for alert in ALERTS.values() if alert.severity is severity)
    labels = (f"alertname={alert.name}", f"severity={severity}", f"area={AREA_OF[alert.name]}", "cluster=dstk")
    routed = ("config", "routes", "test", f"--config.file={ALERTMANAGER}", f"--verify.receivers={severity}")
    assert run("amtool", *routed, *labels).strip() == severity


def test_an_alert_without_a_severity_wakes_a_person() -> None:
    said = run("amtool", "config", "routes", "test", f"--config.file={ALERTMANAGER}", "alertname=Unknown")
    assert said.strip() == Severity.PAGE
