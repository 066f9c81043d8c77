"""`python -m observe.pictures FOLDER` plays the story and draws each dashboard of metrics from what Prometheus has of it."""

import asyncio
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from dstk_observability.pictures import Content, Line, Mark, draw
from observe.shown import Shown, Target, files
from observe.story import Story, told


async def main(folder: Path) -> None:
    """Writes a PNG for each dashboard into the folder."""
    with tempfile.TemporaryDirectory() as directory:
        async with told(Path(directory)) as story:
            for file in files():
                contents = {panel["id"]: await content_of(story, Shown(file["uid"], panel)) for panel in file["panels"]}
                if any(content.lines for content in contents.values()):
                    draw(file, contents, marks(story), folder / f"{file['uid'].removeprefix('dstk-')}.png")


async def content_of(story: Story, panel: Shown) -> Content:
    """The series of a panel over the whole story, by their names in the legend."""
    return Content([line for target in panel.targets for line in await _lines(story, panel, target)])


async def _lines(story: Story, panel: Shown, target: Target) -> Sequence[Line]:
    """A table shows the end alone."""
    text = target.filled(story.variables)
    if panel.raw["type"] == "table":
        found = await story.prometheus.query(text, story.end)
    else:
        found = await story.prometheus.over(text, story.begin, story.end)
    return [Line(target.named(series.labels), series.points) for series in found]


def marks(story: Story) -> list[Mark]:
    """What happened when."""
    return [Mark(*moment, fault or "a quiet time") for fault, moment in story.moments.items()]


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
