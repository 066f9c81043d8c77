"""Figures in the reasons of steps and findings."""


def partitions(count: int) -> str:
    """Formats a number of partitions: 1 partition, 2 partitions."""
    return f"{count:,} partition{'' if count == 1 else 's'}"


def size(count: float) -> str:
    """Formats a number of bytes: 512 B, 1.5 MiB."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024:  # noqa: PLR2004 - the factor between the units
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} TiB"
