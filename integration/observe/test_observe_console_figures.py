"""What the console draws is what the RPCs say: numbers in tables, and colours of the heat map."""

import struct
from base64 import b64decode
from collections.abc import Iterator
from io import BytesIO
from itertools import pairwise
from typing import Any

import pytest
from kit import metrics_data
from kit.browser import Opened, launched, opened
from kit.fake_metrics import FakeMetrics
from PIL import Image
from playwright.sync_api import Browser

pytestmark = pytest.mark.observe


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with launched() as made:
        yield made


@pytest.fixture
def busy(browser: Browser) -> Iterator[Opened]:
    with opened(browser, FakeMetrics(metrics_data.busy())) as made:
        yield made


FORMATS = [
    ("count", 0, "0"),
    ("count", 12.345, "12.3"),
    ("count", 1234.5, "1,235"),
    ("count", "41234", "41.2 k"),
    ("count", "18446744073709551615", "18446744 T"),
    ("bytes", 1023, "1023 B"),
    ("bytes", str(5 << 30), "5.00 GiB"),
    ("latency", 0.00031, "310 µs"),
    ("latency", 0.0021, "2.10 ms"),
    ("latency", 1.5, "1.50 s"),
    ("latency", 0, "\u2013"),
    ("span", 94, "94 s"),
    ("span", 312, "5 min"),
    ("share", 0.05, "5.0%"),
    ("share", 0.72, "72%"),
]


def test_numbers_are_written_for_people(busy: Opened) -> None:
    busy.go("events")
    for how, value, text in FORMATS:
        assert busy.written(how, value) == text, (how, value)


def test_the_overview_has_the_totals(busy: Opened) -> None:
    page = busy.go("overview")
    page.wait_for_function("document.querySelectorAll('.tile .note').length === 12")
    totals = metrics_data.totals(busy.api.partitions, 0, busy.api.nodes)
    tiles = {tile.query_selector("dt").inner_text(): tile.inner_text() for tile in page.query_selector_all(".tile")}
    expected = {
        "Writes": busy.written("count", totals.writes),
        "Scanned records": busy.written("count", totals.scanned),
        "Read latency, p99": busy.written("latency", totals.read_latency.p99_s),
        "Write latency, p99": busy.written("latency", totals.write_latency.p99_s),
        "Failures": busy.written("count", totals.failures.refused + totals.failures.server),
        "Records": busy.written("count", totals.records),
        "Data": busy.written("bytes", totals.bytes),
        "Partitions served": f"{totals.serving_partitions} of {totals.partitions}",
        "Replicas in sync": f"{totals.in_sync_replicas} of {totals.replicas}",
        "Nodes reporting": "3 of 3",
        "Disk free": busy.written("share", totals.free_bytes / totals.capacity_bytes),
    }
    for title, text in expected.items():
        assert text in tiles[title].replace("\n", ""), title
    assert page.inner_text(".health p") == "The cluster is healthy: all 22 checks pass."


COLUMNS = {
    "reads": (3, "count"),
    "writes": (4, "count"),
    "scanned": (5, "count"),
    "readBytes": (6, "bytes"),
    "writtenBytes": (7, "bytes"),
    "time": (9, "share"),
    "records": (12, "count"),
    "bytes": (13, "bytes"),
    "lagEntries": (14, "count"),
}


def rows_of(busy: Opened) -> list[list[str]]:
    """The cells of the partitions table."""
    script = "rows => rows.map(row => [...row.cells].map(cell => cell.innerText))"
    found: list[list[str]] = busy.page.eval_on_selector_all(".scroller tbody tr[data-partition]", script)
    return found


@pytest.mark.parametrize(
    ("heading", "figure"), [("Reads", "FIGURE_READS"), ("Size", "FIGURE_BYTES"), ("Lag", "FIGURE_LAG")]
)
def test_partitions_are_those_of_the_rpc_in_its_order(busy: Opened, heading: str, figure: str) -> None:
    page = busy.go("partitions")
    page.get_by_role("button", name=heading, exact=True).click()
    page.wait_for_selector("th[aria-sort=descending]")
    told = busy.call("ListPartitionStats", {"sortBy": figure, "limit": 200})["partitions"]
    page.wait_for_selector(f"tr[aria-rowindex='2'][data-partition='{told[0]['partitionId']}']")
    rows = rows_of(busy)
    assert [row[0] for row in rows] == [each["partitionId"] for each in told][: len(rows)]
    assert len(rows) > 20
    for row, each in zip(rows[:8], told, strict=False):
        assert row[2] == each["primary"]
        for name, (column, how) in COLUMNS.items():
            assert row[column] == busy.written(how, each[name]), name
    page.get_by_role("button", name=heading, exact=True).click()
    page.wait_for_selector(f"tr[aria-rowindex='2'][data-partition='{told[-1]['partitionId']}']")
    assert page.get_attribute("th[aria-sort]", "aria-sort") == "ascending"


def test_partitions_are_filtered_by_keys_as_dstk_writes_them(busy: Opened) -> None:
    page = busy.go("partitions")
    page.get_by_label("From key", exact=True).fill('("city", "CA", 0)')
    page.get_by_label("To key").fill('("city", "CN", 0)')
    page.get_by_role("button", name="Filter").click()
    page.get_by_text("10 partitions in the range").wait_for()
    page.get_by_label("From key", exact=True).fill("(1,")
    page.get_by_role("button", name="Filter").click()
    page.get_by_role("alert").filter(has_text="must be").wait_for()
    busy.forgive("400")
    page.get_by_role("button", name="All keys").click()
    page.get_by_text("48 partitions", exact=True).wait_for()


def test_a_partition_has_its_replicas_and_what_the_list_says(busy: Opened) -> None:
    page = busy.go("partitions")
    page.get_by_role("button", name="Partition 2, show all about it").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("table").wait_for()
    assert dialog.locator("tbody th").all_inner_texts() == ["storage-2", "storage-3", "storage-1"]
    stats = busy.api.partitions[1]
    text = dialog.inner_text()
    assert f"{busy.written('count', stats.records)} ± {busy.written('count', stats.records_error)}" in text
    page.keyboard.press("Escape")
    assert page.get_by_role("dialog").count() == 0


def test_hot_partitions_say_why(busy: Opened) -> None:
    page = busy.go("hot")
    card = page.locator("[data-partition]")
    card.wait_for()
    (told,) = busy.call("ListHotPartitions")["partitions"]
    text = card.inner_text()
    assert f"Reads: partition {told['stats']['partitionId']}" in text
    for part in (
        busy.written("count", told["load"]),
        busy.written("share", told["share"]),
        f"{told['skew']:.1f} \u00d7",
        "5 min",
        "72%",
        "('city', 'BR', 600000)",
        "640 sampled operations",
        told["advice"],
        "dstk partitions split 8 --by-load",
    ):
        assert part in text, part
    assert page.locator("tbody tr").count() == 5


class Picture:
    """The plot of the heat map as pixels."""

    def __init__(self, busy: Opened) -> None:
        self.page = busy.page
        self.page.wait_for_selector("[data-shown] .u-over")
        self.box = self.page.locator(".u-over").bounding_box()
        self.history: dict[str, Any] = busy.call(
            "GetHistory", {"figure": "FIGURE_READS", "maxRows": 1536, "fromMs": str(busy.api.now_ms - 3_600_000)}
        )
        self.page.mouse.move(0, 0)
        self.image = Image.open(BytesIO(self.page.screenshot())).convert("RGB")

    @property
    def rows(self) -> int:
        return len(self.history["rowStarts"])

    @property
    def columns(self) -> int:
        return len(self.history["columnTimesMs"])

    def value(self, row: int, column: int) -> float:
        at = 4 * (row * self.columns + column)
        found: float = struct.unpack("<f", b64decode(self.history["values"])[at : at + 4])[0]
        return found

    def place(self, row: int, column: int) -> tuple[float, float]:
        """Where the middle of a cell is on the page."""
        assert self.box is not None
        across = self.box["x"] + (column + 0.5) / self.columns * self.box["width"]
        return across, self.box["y"] + (row + 0.5) / self.rows * self.box["height"]

    def brightness(self, row: int, column: int) -> int:
        across, down = self.place(row, column)
        pixel = self.image.getpixel((int(across), int(down)))
        assert isinstance(pixel, tuple)
        return sum(pixel)


def test_the_heat_map_is_bright_where_it_is_hot_and_orders_all_as_the_rpc_does(busy: Opened) -> None:
    busy.go("heatmap")
    picture = Picture(busy)
    column = picture.columns * 2 // 3
    by_value = sorted(range(picture.rows), key=lambda row: picture.value(row, column))
    assert by_value[-1] == metrics_data.HOT
    hot = picture.brightness(metrics_data.HOT, column)
    others = [picture.brightness(row, column) for row in by_value[:-1]]
    assert hot > 500
    assert max(others) < 320
    assert others[-1] > others[0]
    assert all(later >= earlier - 2 for earlier, later in pairwise(others))


def test_a_gap_of_the_heat_map_is_hatched_and_unlike_any_value(busy: Opened) -> None:
    busy.go("heatmap")
    picture = Picture(busy)
    column = int(0.33 * picture.columns)
    assert picture.value(3, column) != picture.value(3, column)
    assert picture.value(3, 0) == picture.value(3, 0)
    left, top = picture.place(3, column)
    area = picture.image.crop((int(left) - 5, int(top) - 5, int(left) + 5, int(top) + 5))
    colours = {colour for _, colour in area.getcolors() or []}
    assert len(colours) > 1, "it has stripes"
    assert all(max(colour) - min(colour) < 30 for colour in colours), "they are grey"
    assert all(sum(colour) > 400 for colour in colours), "they are not dark in the light theme"


def test_the_pointer_tells_range_figure_node_and_time(busy: Opened) -> None:
    page = busy.go("heatmap")
    picture = Picture(busy)
    row, column = metrics_data.HOT, picture.columns - 5
    page.mouse.move(*picture.place(row, column))
    tip = page.locator(".heat-tip")
    tip.wait_for()
    text = tip.inner_text()
    assert f"{busy.written('count', picture.value(row, column))}/s" in text
    assert "('city', 'BR', 600000) … ('city', 'BR', 700000)" in text
    assert f"partition {picture.history['rowPartitions'][row]} on {picture.history['rowNodes'][row]}" in text
    assert busy.written("moment", picture.history["columnTimesMs"][column]) in text


def test_dragging_zooms_into_keys_and_time_and_more_is_asked_for(busy: Opened) -> None:
    page = busy.go("heatmap")
    picture = Picture(busy)
    with page.expect_request(lambda request: request.url.endswith("GetHistory")) as asked:
        page.mouse.move(*picture.place(4, 30))
        page.mouse.down()
        page.mouse.move(*picture.place(11, 50), steps=5)
        page.mouse.up()
    request = asked.value.post_data_json
    times = picture.history["columnTimesMs"]
    assert abs(int(request["fromMs"]) - int(times[30])) < 120_000
    assert abs(int(request["toMs"]) - int(times[50])) < 120_000
    assert request["start"] == ""
    assert request["end"]
    page.wait_for_function("document.querySelector('.muted[role=status]').innerText.includes('column')")
    page.get_by_role("button", name="All keys").click()
    page.get_by_text("48 ranges \u00d7 60 columns").wait_for()


def test_the_hottest_ranges_are_a_table(busy: Opened) -> None:
    page = busy.go("heatmap")
    picture = Picture(busy)
    first = page.locator("tr[data-row]").first
    assert first.get_attribute("data-row") == str(metrics_data.HOT)
    most = max(
        value for column in range(picture.columns) if (value := picture.value(metrics_data.HOT, column)) == value
    )
    assert f"{busy.written('count', most)}/s" in first.inner_text()
    assert page.locator("tr[data-row]").count() == 10


def test_brightness_lifts_what_is_not_the_hottest(busy: Opened) -> None:
    page = busy.go("heatmap")
    before = Picture(busy)
    page.get_by_label("Brightness").fill("100")
    after = Picture(busy)
    row, column = 20, 2 * before.columns // 3
    assert after.brightness(row, column) > before.brightness(row, column) + 40
