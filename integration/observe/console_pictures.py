"""Draws the pictures of docs/console from a cluster that is made up: `python -m observe.console_pictures DIRECTORY`."""

import sys
from io import BytesIO
from pathlib import Path

from kit import console, metrics_data
from kit.browser import launched, opened
from kit.fake_metrics import FakeMetrics
from PIL import Image

SIZE = (1600, 1000)
LIVE_SECONDS = 20
COLOURS = 128


def main(directory: Path) -> None:
    """Writes a picture of each view that the page of the console shows."""
    directory.mkdir(parents=True, exist_ok=True)
    with launched() as browser:
        for view, dark in (("overview", False), ("heatmap", True), ("partitions", False)):
            with opened(browser, FakeMetrics(metrics_data.busy()), console.well, size=SIZE, dark=dark) as made:
                made.go(view)
                made.page.wait_for_timeout(1000 * (LIVE_SECONDS if view == "overview" else 2))
                shot = Image.open(BytesIO(made.page.screenshot())).convert("RGB")
                shot.quantize(COLOURS).save(directory / f"{view}.png", optimize=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
