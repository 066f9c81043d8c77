"""Settings of the controller as people type and read them."""

import re

from dstk.v1 import admin_pb2
from dstk_cli.data import values
from dstk_cli.errors import USAGE, CliError
from dstk_cli.local.view import duration
from dstk_service import admin_requests

_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*(KiB|MiB|GiB|TiB)", re.IGNORECASE)
_UNITS = {"kib": 1 << 10, "mib": 1 << 20, "gib": 1 << 30, "tib": 1 << 40}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(s|m|min|h|d)")
_SECONDS = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86_400}
_WORDS = {"true": 1, "yes": 1, "false": 0, "no": 0, "never": 0}
_FRACTIONS = {"gone_seconds", "split_operations", "merge_share", "compare_hours"}

MEANINGS = {
    "paused": "it says what it would do and does nothing",
    "replicas": "of each partition, where there are so many nodes",
    "gone_seconds": "after which the replicas of a node that is gone are made anew elsewhere",
    "split_bytes": "keys and values at which a partition is split",
    "split_operations": "a second at which a partition is split",
    "merge_share": "of those sizes below which two neighbours are merged; 0: never",
    "moves_at_once": "replicas that may be on their way at one moment",
    "compare_hours": "after which a partition's replicas are compared again; 0: never",
    "compare_bytes_per_second": "that each node compares of its partitions",
}


def parse(assignments: list[str]) -> dict[str, float]:
    """Reads "replicas=3", "gone_seconds=10m", "split_bytes=2GiB". Raises CliError, or InvalidArgument out of bounds."""
    found: dict[str, float] = {}
    for text in assignments:
        name, sign, value = text.partition("=")
        if not sign:
            raise CliError(f"{text!r} sets nothing", "give NAME=VALUE, such as replicas=3", USAGE)
        number = _number(text, value.strip())
        if name.strip() == "compare_hours" and _DURATION.fullmatch(value.strip()):
            number /= _SECONDS["h"]
        admin_requests.setting(name.strip(), int(number) if number.is_integer() else number)
        found[name.strip()] = number if name.strip() in _FRACTIONS else _whole(text, number)
    return found


def _number(text: str, value: str) -> float:
    if value.lower() in _WORDS:
        return float(_WORDS[value.lower()])
    if match := _SIZE.fullmatch(value):
        return float(match[1]) * _UNITS[match[2].lower()]
    if match := _DURATION.fullmatch(value):
        return float(match[1]) * _SECONDS[match[2]]
    try:
        return float(value)
    except ValueError:
        hint = "give a number, a size such as 64MiB, a duration such as 10m, or true or false"
        raise CliError(f"{text!r}: {value!r} is no value", hint, USAGE) from None


def _whole(text: str, number: float) -> int:
    if not number.is_integer():
        raise CliError(f"{text!r} is no whole number", "give one without a fraction", USAGE)
    return int(number)


def as_json(settings: admin_pb2.ControllerSettings) -> dict[str, float]:
    """All of them."""
    return {name: getattr(settings, name) for name in admin_requests.SETTINGS}


def shown(settings: admin_pb2.ControllerSettings, name: str) -> str:
    """One of them for people."""
    value = getattr(settings, name)
    match name:
        case "paused":
            return "true" if value else "false"
        case "gone_seconds":
            return f"{value:g} ({duration(value)})"
        case "compare_hours":
            return f"{value:g} ({duration(value * 3600) if value else 'never'})"
        case "split_bytes" | "compare_bytes_per_second":
            return f"{value} ({values.size(value)})"
    return f"{value:g}"
