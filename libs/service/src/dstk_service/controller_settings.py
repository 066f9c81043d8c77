"""The settings of the controller: each one's default, bounds and meaning, declared once.

etcd, Admin requests and the command line all check values with `check`; the bounds in admin.proto are the same.
"""

import math
from dataclasses import dataclass, field, fields
from typing import Any, Final

from dstk_keytypes import InvalidInput

MIB: Final = 1 << 20


class InvalidSetting(InvalidInput):
    """An unknown setting, or a value outside its bounds."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a setting accepts: a value of `kind` in low..high. `limit` says so in words; `meaning` completes "NAME: ..."."""

    kind: type[bool] | type[int] | type[float]
    low: float
    high: float
    limit: str
    meaning: str

    def accepts(self, value: object) -> bool:
        """Whether the value has the right type and is within the bounds. An int is a valid float; a bool is only a bool."""
        if isinstance(value, bool) or self.kind is bool:
            return isinstance(value, bool) and self.kind is bool
        right_type = isinstance(value, int) or (self.kind is float and isinstance(value, float))
        return right_type and math.isfinite(value) and self.low <= value <= self.high  # type: ignore[arg-type,operator]


def _setting(default: float, low: float, high: float, limit: str, meaning: str) -> Any:
    return field(default=default, metadata={"bounds": Bounds(type(default), low, high, limit, meaning)})


@dataclass(frozen=True, slots=True)
class ControllerSettings:
    """How the controller decides. Raises InvalidSetting for a value outside its bounds."""

    paused: bool = _setting(False, 0, 1, "true or false", "the controller plans but takes no action")
    replicas: int = _setting(3, 1, 7, "a whole number in 1..7", "replicas of each partition, if there are enough nodes")
    gone_seconds: float = _setting(
        300.0, 1, 86_400, "1..86400 seconds", "how long a node must be gone before its replicas are rebuilt elsewhere"
    )
    split_bytes: int = _setting(
        256 * MIB,
        MIB,
        1 << 40,
        "whole bytes in 1 MiB..1 TiB (1048576..1099511627776)",
        "a partition larger than this is split",
    )
    split_operations: float = _setting(
        20_000.0,
        100,
        1e9,
        "100..1000000000 operations a second",
        "a partition with more operations a second than this is split",
    )
    merge_share: float = _setting(
        0.25, 0, 0.5, "0 (never)..0.5", "neighbours are merged below this share of the split limits; 0: never"
    )
    moves_at_once: int = _setting(2, 1, 32, "a whole number in 1..32", "replicas that may be copied at the same time")
    compare_hours: float = _setting(
        24.0, 0, 8760, "0 (never)..8760 hours", "interval between comparisons of a partition's replicas; 0: never"
    )
    compare_bytes_per_second: int = _setting(
        2 * MIB, 1 << 16, 1 << 30, "whole bytes in 64 KiB..1 GiB (65536..1073741824)", "comparison speed of each node"
    )

    def __post_init__(self) -> None:
        for name in BOUNDS:
            check(name, getattr(self, name))


BOUNDS: Final[dict[str, Bounds]] = {each.name: each.metadata["bounds"] for each in fields(ControllerSettings)}
"""The bounds of every setting, by name, in the order of their declaration."""


def check_name(name: str) -> None:
    """Raises InvalidSetting if there is no such setting."""
    if name not in BOUNDS:
        raise InvalidSetting("fields", name, f"one of {', '.join(BOUNDS)}")


def check(name: str, value: object) -> None:
    """Raises InvalidSetting if there is no such setting, or if the value is outside its bounds."""
    check_name(name)
    if not BOUNDS[name].accepts(value):
        raise InvalidSetting(name, value, BOUNDS[name].limit)
