"""What to do about a hot partition, in words."""

from collections.abc import Sequence

from dstk_metrics.domain.figures import Figure
from dstk_metrics.domain.prefixes import Prefix

ONE_KEY = 0.5
"""From this share on, one key makes the partition hot."""

_READING = {Figure.READS, Figure.READ_BYTES}


def advice(partition: int, primary: str, by: Figure, prefixes: Sequence[Prefix], hot_on_node: int) -> str:
    """Sentences for an operator. `hot_on_node`: how many hot partitions the node leads, this one included."""
    keys = [each for each in prefixes if each.is_key]
    said = [_about_key(keys[0], by) if keys and keys[0].share >= ONE_KEY else _about_split(partition, prefixes)]
    if hot_on_node > 1:
        said.append(
            f"{primary} leads {hot_on_node} hot partitions: transfer the primary of some to other nodes "
            f"(dstk partitions transfer {partition})."
        )
    return " ".join(said)


def _about_key(key: Prefix, by: Figure) -> str:
    what = (
        "Cache its record in the callers" if by in _READING else "Write to it less often, or add its writes up before"
    )
    return (
        f"One key has {key.share:.0%} of the sampled operations, and a split does not divide a key. "
        f"{what}, or spread its record over several keys."
    )


def _about_split(partition: int, prefixes: Sequence[Prefix]) -> str:
    command = f"dstk partitions split {partition} --by-load"
    if not prefixes:
        return f"The load is spread over its keys: split it by load ({command}), so that two nodes can share it."
    if len(prefixes) == 1:
        return f"Most of the load is under one prefix: split it by load ({command}), which cuts within the prefix."
    return (
        f"The load is under {len(prefixes)} prefixes: split it by load ({command}), which cuts between or within them."
    )
