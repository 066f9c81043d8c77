"""Settings: flag over variable over default, all mistakes at once, --check-config and --help."""

import json
from typing import Any

import pytest
from pydantic import Field, ValidationError

from dstk_service.config import ServiceConfig, parse


class Config(ServiceConfig):
    """A service for the test."""

    port: int = Field(description="Port to listen on.", ge=1)
    pace: float = Field(1.5, description="How fast.")


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PORT", "PACE", "LOG_LEVEL", "LOG_FORMAT", "TRACE_ENDPOINT", "SENTRY_DSN"):
        monkeypatch.delenv(f"DSTK_{name}", raising=False)


def test_a_flag_beats_a_variable_beats_a_default(monkeypatch: pytest.MonkeyPatch) -> None:
    assert parse(Config, ["--port", "1"]).pace == 1.5
    monkeypatch.setenv("DSTK_PACE", "2.5")
    assert parse(Config, ["--port", "1"]).pace == 2.5
    assert parse(Config, ["--port", "1", "--pace", "3.5"]).pace == 3.5


def test_all_mistakes_are_reported_together_with_flag_and_variable(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DSTK_LOG_LEVEL", "loud")
    with pytest.raises(SystemExit) as ended:
        parse(Config, ["--pace", "fast"])
    assert ended.value.code == 2
    told = capsys.readouterr().err
    assert "--port (or DSTK_PORT) is required: Port to listen on." in told
    assert "--pace (or DSTK_PACE) is 'fast'" in told
    assert "--log-level (or DSTK_LOG_LEVEL) is 'loud'" in told


def test_check_config_prints_the_result_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        parse(Config, ["--port", "7", "--check-config"])
    assert ended.value.code == 0
    printed = json.loads(capsys.readouterr().out)
    assert set(printed) == set(Config.model_fields) - {"check_config"}
    assert (printed["log_level"], printed["log_format"], printed["port"], printed["pace"]) == ("info", "json", 7, 1.5)


@pytest.mark.parametrize("dsn", ["https://secret@sentry.example/1", "secret"])
def test_a_dsn_is_never_printed(dsn: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse(Config, ["--port", "7", "--check-config", "--sentry-dsn", dsn])
    told = capsys.readouterr()
    assert "secret" not in told.out + told.err
    assert ("not a DSN" in told.err) == (dsn == "secret")


@pytest.mark.parametrize("url", ["127.0.0.1:4318", "ftp://host", "http://", "http://user@host", "http://a b"])
def test_a_url_that_is_none_is_refused(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse(Config, ["--port", "7", "--trace-endpoint", url])
    assert f"--trace-endpoint (or DSTK_TRACE_ENDPOINT) is {url!r}: not an http or https URL" in capsys.readouterr().err


@pytest.mark.parametrize("url", ["", "http://127.0.0.1:4318", "https://collector.example/v1/traces"])
def test_a_url_is_accepted(url: str) -> None:
    assert parse(Config, ["--port", "7", "--trace-endpoint", url]).trace_endpoint == url


def test_help_tells_what_each_setting_does(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        parse(Config, ["--help"])
    assert ended.value.code == 0
    told = capsys.readouterr().out
    assert "A service for the test." in told
    assert "Port to listen on." in told


def test_settings_do_not_change_once_they_are_parsed() -> None:
    config: Any = parse(Config, ["--port", "1"])
    with pytest.raises(ValidationError):
        config.port = 2
