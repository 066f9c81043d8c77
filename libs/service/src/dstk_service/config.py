"""Settings: flag over DSTK_* variable over default, parsed once, all mistakes reported together.

On pydantic-settings, the best-kept library that reads a typed, documented class from both flags and variables.
"""

import re
import sys
from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, Literal, NoReturn, TypeVar

from pydantic import AfterValidator, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict, SettingsError

from dstk_service.addresses import all_checked, checked, checked_listen
from dstk_service.errors import InvalidArgument

C = TypeVar("C", bound="ServiceConfig")

_URL = re.compile(r"https?://[^\s/@]+(/\S*)?")
_DSN = re.compile(r"https?://[^\s/@]+@[^\s/@]+/\S+")


def _addresses(text: str) -> str:
    try:
        all_checked(text.split(",") if text else ())
    except InvalidArgument as error:
        raise ValueError(str(error)) from None
    return text


Addresses = Annotated[str, AfterValidator(_addresses)]
"""host:port addresses, separated by commas, checked when the service starts; empty: none."""


def _address(text: str) -> str:
    try:
        return checked(text) if text else text
    except InvalidArgument as error:
        raise ValueError(str(error)) from None


Address = Annotated[str, AfterValidator(_address)]
"""One host:port address, checked when the service starts; empty: none."""


OFF = "off"


def _operations(text: str) -> str:
    try:
        return text if text == OFF else checked_listen(text)
    except InvalidArgument as error:
        raise ValueError(f"{error}, or {OFF!r}") from None


OperationsAddress = Annotated[str, AfterValidator(_operations)]
"""host:port of a service's operations server, or OFF, checked when the service starts."""

OPERATIONS_HELP = (
    "host:port of /healthz, /readyz and /metrics over HTTP; port 0: any free one; off: nothing is measured."
)


def _url(text: str) -> str:
    if text and not _URL.fullmatch(text):
        raise ValueError("not an http or https URL, such as http://127.0.0.1:4318")
    return text


def _dsn(dsn: SecretStr) -> SecretStr:
    text = dsn.get_secret_value()
    if text and not _DSN.fullmatch(text):
        raise ValueError("not a DSN of Sentry, such as https://KEY@HOST/PROJECT")
    return dsn


Url = Annotated[str, AfterValidator(_url)]
"""An http or https URL; empty: none."""

Dsn = Annotated[SecretStr, AfterValidator(_dsn)]
"""A DSN of Sentry; empty: none. It is not printed."""


class ServiceConfig(BaseSettings):
    """The settings of every service. Subclasses add their own; every field has a description."""

    model_config: ClassVar[SettingsConfigDict] = SettingsConfigDict(
        env_prefix="DSTK_",
        frozen=True,
        extra="forbid",
        cli_kebab_case=True,
        cli_implicit_flags=True,
        cli_hide_none_type=True,
        cli_avoid_json=True,
        nested_model_default_partial_update=False,
    )

    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="The lowest level that is logged."
    )
    log_format: Literal["json", "text"] = Field("json", description="json: one object a line; text: for people.")
    log_keys: bool = Field(
        default=False, description="Write keys of records and bounds of partitions to the log; values never are."
    )
    trace_endpoint: Url = Field(
        "",
        description="URL of the OpenTelemetry collector that takes traces, OTLP over HTTP; empty: nothing is traced.",
    )
    trace_ratio: float = Field(
        0.01, ge=0, le=1, description="Part of the calls without a trace context that begin a trace, 0 to 1."
    )
    trace_slow_seconds: float = Field(
        1.0, gt=0, le=3600, description="A call that takes so many seconds is traced in any case, as errors are."
    )
    sentry_dsn: Dsn = Field(
        SecretStr(""),
        description="DSN of Sentry, which unforeseen errors and crashes are reported to; empty: none are.",
    )
    check_config: bool = Field(default=False, description="Print the resulting settings as JSON and exit.")


def parse(config: type[C], argv: Sequence[str]) -> C:
    """The settings from `argv` (without the program's name) and the environment. Exits with 2 on mistakes, with 0 after
    --help and --check-config.
    """
    try:
        # pydantic-settings documents this call for reading flags; mypy does not know the private parameter
        settings: C = config(_cli_parse_args=list(argv), _cli_prog_name=_program(config))  # type: ignore[call-arg]
    except ValidationError as error:
        _refuse([_explain(config, problem) for problem in error.errors()])
    except SettingsError as error:
        _refuse([f"{error}: {error.__cause__}" if error.__cause__ else str(error)])
    if settings.check_config:
        print(settings.model_dump_json(indent=2, exclude={"check_config"}))  # noqa: T201 - what was asked for
        sys.exit(0)
    return settings


def _program(config: type[ServiceConfig]) -> str:
    return f"python -m {config.__module__.partition('.')[0]}"


def _explain(config: type[ServiceConfig], problem: Any) -> str:
    field = str(problem["loc"][0]) if problem["loc"] else "settings"
    flag, variable = f"--{field.replace('_', '-')}", f"DSTK_{field.upper()}"
    if problem["type"] == "missing":
        return f"{flag} (or {variable}) is required: {config.model_fields[field].description}"
    if problem["type"] == "extra_forbidden":
        return f"{flag} is not a setting of this service; --help lists them"
    is_secret = config.model_fields[field].annotation is SecretStr
    value = "not shown" if is_secret else repr(problem["input"])
    return f"{flag} (or {variable}) is {value}: {problem['msg'].removeprefix('Value error, ')}"


def _refuse(problems: Sequence[str]) -> NoReturn:
    for problem in problems:
        print(f"error: {problem}", file=sys.stderr)  # noqa: T201 - logs are not configured yet
    sys.exit(2)
