"""How much room the disk has left, and what it is kept for. Pure.

    free space                          what the node still takes
    above the reserve                   everything
    below the reserve                   deletions and expiry of callers, and all that another node's primaries send
    below five eighths of it            deletions and expiry alone, whoever sends them
    below a quarter: the last reserve   nothing

So a full node can always be emptied, on its followers too. A follower stops taking data later than a primary does: disks that
fill up alike all refuse callers while every replica is still in sync. The last reserve is what LevelDB needs to write its
buffer out and to compact, by which deletions give space back.
"""

from enum import IntEnum


class Room(IntEnum):
    """What the disk still has room for; larger is worse."""

    AMPLE = 0
    SCARCE = 1
    """Callers may only delete; entries of other primaries are taken."""
    FULL = 2
    """Deletions alone."""
    EXHAUSTED = 3
    """Nothing."""


_SHARES = ((Room.EXHAUSTED, 2), (Room.FULL, 5), (Room.SCARCE, 8))
"""Below so many eighths of the reserve."""


def judge(free: int, reserve: int, before: Room) -> Room:
    """What `free` bytes are enough for. A level is left only a quarter above its threshold, so that the node does not flap."""
    for room, eighths in _SHARES:
        threshold = reserve * eighths // 8
        if free < (threshold * 5 // 4 if before >= room else threshold):
            return room
    return Room.AMPLE


def needed(reserve: int) -> int:
    """Bytes that must be free before everything is taken again."""
    return reserve * 5 // 4


def explained(room: Room, free: int, reserve: int) -> str:
    """What is left, what is still taken, and what to do."""
    if room is Room.EXHAUSTED:
        kept = f"the last {shown(reserve // 4)} are kept for compaction, so that not even deletions are taken"
        return f"its disk has {shown(free)} left and {kept}: free space on the disk or enlarge it"
    kept = f"the node keeps {shown(reserve)} in reserve; deletions and expiry are still taken"
    return f"its disk has {shown(free)} left and {kept}: delete data, add a node, or enlarge the disk"


def shown(count: int) -> str:
    """Bytes for people, in the largest unit of which there are at least ten."""
    for shift, unit in ((40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB")):
        if count >= 10 << shift:
            return f"{count >> shift} {unit}"
    return f"{count} bytes"
