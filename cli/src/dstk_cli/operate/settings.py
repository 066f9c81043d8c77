"""Settings of the controller: parses what users type and formats values for them."""

from dstk.v1 import admin_pb2
from dstk_cli.data.values import SIZES, amount
from dstk_cli.errors import USAGE, CliError
from dstk_service import controller_settings, figures
from dstk_service.figures import duration

_SECONDS = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86_400}
_WORDS = {"true": 1, "yes": 1, "false": 0, "no": 0, "never": 0}


def parse(assignments: list[str]) -> dict[str, float]:
    """Reads "replicas=3", "gone_seconds=10m", "split_bytes=2GiB". Raises CliError, or InvalidSetting outside the bounds."""
    return dict(map(_parse_one, assignments))


def _parse_one(text: str) -> tuple[str, float]:
    name, sign, value = map(str.strip, text.partition("="))
    if not sign:
        raise CliError(f"{text!r} sets nothing", "give NAME=VALUE, such as replicas=3", USAGE)
    controller_settings.check_name(name)
    number = _number(text, value)
    if name == "compare_hours" and amount(value, _SECONDS) is not None:
        number /= _SECONDS["h"]
    typed = _typed(name, number)
    controller_settings.check(name, typed)
    return name, typed


def _typed(name: str, number: float) -> float:
    """The number in the type of the setting, where that loses nothing."""
    kind = controller_settings.BOUNDS[name].kind
    return kind(number) if number.is_integer() and (kind is not bool or number in {0, 1}) else number


def _number(text: str, value: str) -> float:
    if value.lower() in _WORDS:
        return float(_WORDS[value.lower()])
    for known in (amount(value.lower(), SIZES), amount(value, _SECONDS)):
        if known is not None:
            return float(known)
    try:
        return float(value)
    except ValueError:
        hint = "give a number, a size such as 64MiB, a duration such as 10m, true or false"
        raise CliError(f"{text!r}: {value!r} is not a value", hint, USAGE) from None


def shown(settings: admin_pb2.ControllerSettings, name: str) -> str:
    """Formats the value of one setting for a terminal."""
    value = getattr(settings, name)
    match name:
        case "paused":
            return "true" if value else "false"
        case "gone_seconds":
            return f"{value:g} ({duration(value)})"
        case "compare_hours":
            return f"{value:g} ({duration(value * 3600) if value else 'never'})"
        case "split_bytes" | "compare_bytes_per_second":
            return f"{value} ({figures.size(value)})"
    return f"{value:g}"
