"""Wall clocks of processes that can be set from outside, by libfaketime: `apt-get install faketime`.

What a process measures intervals with goes on as it does: machines whose clocks are set keep that one, too.
"""

from pathlib import Path

_PLACES = ("lib/*/faketime", "lib/faketime", "lib64/faketime")
_FILES = ("libfaketimeMT.so.1", "libfaketime.so.1")


def library() -> Path | None:
    """libfaketime, where it is installed."""
    found = (path for place in _PLACES for file in _FILES for path in Path("/usr").glob(f"{place}/{file}"))
    return next(found, None)


def settable(preload: Path, file: Path) -> dict[str, str]:
    """Variables for a process whose clock goes as the file says, right at first."""
    set_clock(file, 0)
    return {
        "LD_PRELOAD": str(preload),
        "FAKETIME_TIMESTAMP_FILE": str(file),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "DONT_FAKE_MONOTONIC": "1",
    }


def set_clock(file: Path, ahead: int) -> None:
    """Makes a clock so many seconds fast, or slow where that is negative. At one moment: nobody reads half of it."""
    new = file.with_suffix(".new")
    new.write_text(f"{ahead:+d}\n")
    new.replace(file)
