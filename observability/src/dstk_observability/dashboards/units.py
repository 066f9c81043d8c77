"""The units of panels, by Grafana's names for them, and how a value reads in them."""

from enum import StrEnum
from typing import Final


class Unit(StrEnum):
    """Grafana's identifiers."""

    COUNT = "short"
    PER_SECOND = "ops"
    SECONDS = "s"
    BYTES = "bytes"
    BYTES_PER_SECOND = "binBps"
    SHARE = "percentunit"
    """0 to 1, shown as per cent."""
    LINES = "none"
    """Of a log: not a number."""


_BINARY: Final = ("B", "KiB", "MiB", "GiB", "TiB")
_KILO: Final = 1024
NEARLY_ALL: Final = 0.99
"""Of shares above it, such as 99.95 %, the thousandths count."""
_THOUSANDS: Final = ((1e9, "G"), (1e6, "M"), (1e3, "k"))
_TIMES: Final = ((86400.0, "d"), (3600.0, "h"), (60.0, "min"), (1.0, "s"), (1e-3, "ms"), (1e-6, "µs"))


def readable(value: float, unit: Unit) -> str:
    """The value as a person reads it, such as "250 ms" or "64 MiB"."""
    value = value or 0.0  # also for -0.0
    match unit:
        case Unit.SHARE:
            return f"{_short(value * 100, digits=5 if NEARLY_ALL < value < 1 else 3)} %"
        case Unit.SECONDS:
            return _seconds(value)
        case Unit.BYTES:
            return _bytes(value)
        case Unit.BYTES_PER_SECOND:
            return f"{_bytes(value)}/s"
        case Unit.PER_SECOND:
            return f"{_thousands(value)}/s"
        case _:
            return _thousands(value)


def _seconds(value: float) -> str:
    for size, name in _TIMES:
        if abs(value) >= size:
            return f"{_short(value / size)} {name}"
    return "0 s" if not value else f"{value:.1g} s"


def _bytes(value: float) -> str:
    for name in _BINARY[:-1]:
        if abs(value) < _KILO:
            return f"{_short(value)} {name}"
        value /= _KILO
    return f"{_short(value)} {_BINARY[-1]}"


def _thousands(value: float) -> str:
    for size, name in _THOUSANDS:
        if abs(value) >= size:
            return f"{_short(value / size)}{name}"
    return _short(value)


def _short(value: float, digits: int = 3) -> str:
    return f"{value:.{digits}g}" if abs(value) < 10**digits else f"{value:.0f}"
