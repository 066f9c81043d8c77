"""promtool and amtool accept the configuration that ships, and alerts go to the receivers that they should."""

from pathlib import Path

import pytest
from kit.programs import run

from dstk_observability.alertmanager import configuration
from dstk_observability.alerts import ALERTS, AREA_OF
from dstk_observability.alerts.kinds import Severity

pytestmark = pytest.mark.observe

SHIPPED = Path(__file__).parents[1]
ALERTMANAGER = SHIPPED / "alertmanager" / "alertmanager.yml"


def test_prometheus_accepts_its_configuration() -> None:
    said = run("promtool", "check", "config", "--lint=all", "--lint-fatal", SHIPPED / "prometheus" / "prometheus.yml")
    assert "rules found" in said
    assert "FAILED" not in said


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
