"""`python -m observe.pictures FOLDER` plays the story and draws each dashboard from what Prometheus and OpenSearch have."""

import asyncio
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dstk_observability.dashboards.log_fields import ABOUT, LEVEL, MESSAGE, NODE, TIME
from dstk_observability.pictures import Content, Entry, Line, Mark, draw
from observe.log_store import LogStore, store_of
from observe.shown import Shown, Target, files
from observe.story import CLUSTER, Story, told


async def main(folder: Path) -> None:
    """Writes a PNG for each dashboard into the folder."""
    with tempfile.TemporaryDirectory() as directory:
        at = Path(directory)
        async with told(at / "story") as story, store_of(at / "logs", CLUSTER, story.lines) as store:
            for file in files():
                contents = {
                    panel["id"]: await content_of(story, store, Shown(file["uid"], panel)) for panel in file["panels"]
                }
                draw(file, contents, marks(story), folder / f"{file['uid'].removeprefix('dstk-')}.png")


async def content_of(story: Story, store: LogStore, panel: Shown) -> Content:
    """The series of a panel over the whole story, by their names in the legend, or its log lines."""
    lines = [Line(*each) for target in panel.targets for each in await _series(story, panel, target)]
    for query in panel.log_queries:
        if panel.raw["type"] == "logs":
            return Content(entries=[_entry(line) for line in store.lines(query["query"])])
        split = query["bucketAggs"][0]["field"]
        lines += [Line(value, points) for value, points in store.counts(query["query"], split).items()]
    return Content(lines)


async def _series(story: Story, panel: Shown, target: Target) -> list[tuple[str, Sequence[tuple[float, float]]]]:
    """A table shows the end alone."""
    text = target.filled(story.variables)
    if panel.raw["type"] == "table":
        found = await story.prometheus.query(text, story.end)
    else:
        found = await story.prometheus.over(text, story.begin, story.end)
    return [(target.named(series.labels), series.points) for series in found]


def marks(story: Story) -> list[Mark]:
    """What happened when."""
    return [Mark(*moment, fault or "a quiet time") for fault, moment in story.moments.items()]


def _entry(line: Mapping[str, Any]) -> Entry:
    moment = str(_field(line, TIME))[11:23]
    about = "  ".join(f"{name}={_text(value)}" for name in ABOUT if (value := _field(line, name)) != "")
    return Entry(moment, str(_field(line, LEVEL)), f"{_field(line, NODE):16} {line[MESSAGE]:40} {about}".rstrip())


def _text(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)


def _field(line: Mapping[str, Any], name: str) -> Any:
    """The value of a field such as service.node.name, which the document has as objects in objects; "" if it is not there."""
    value: Any = line
    for part in name.split("."):
        value = value.get(part, "") if isinstance(value, Mapping) else ""
    return value


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
