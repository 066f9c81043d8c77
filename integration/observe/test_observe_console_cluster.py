"""The console of a real cluster of processes, in a real Chromium: its nodes, its partitions, and a node that is paused."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from kit.browser import launched
from kit.process_cluster import ProcessCluster
from playwright.sync_api import Page

from dstk_client import Key, connect

pytestmark = pytest.mark.observe

SPLITS = ["g", "n", "t"]
RECORDS = 200
SILENT = "storage-2"
PATIENCE_MS = 60_000


@pytest.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[ProcessCluster]:
    options = ["--feed-seconds", "1"]
    async with ProcessCluster(
        tmp_path, nodes=3, splits=SPLITS, router=True, metrics=1, metrics_options=options
    ) as made:
        yield made


async def test_a_real_cluster_is_shown_as_its_rpcs_say_and_a_paused_node_is_marked(cluster: ProcessCluster) -> None:
    async with connect(cluster.address("router"), mode="gateway") as client:
        await asyncio.gather(*(client.put(Key.text(f"{'ahpz'[at % 4]}{at}"), b"v") for at in range(RECORDS)))
    looking = Looking()
    await asyncio.to_thread(looking.at_a_cluster_that_is_well, cluster.console())
    cluster.pause(SILENT)
    try:
        await asyncio.to_thread(looking.at_a_paused_node, cluster.console())
    finally:
        cluster.resume(SILENT)


class Looking:
    """What a person does at the page."""

    def at_a_cluster_that_is_well(self, console: str) -> None:
        """Looks at partitions, nodes and the sentence about health."""
        with launched() as browser:
            page = opened_page(browser.new_page(), console, "partitions")
            page.wait_for_function(f"document.querySelectorAll('tr[data-partition]').length === {len(SPLITS) + 1}")
            told = page.evaluate("async () => (await import('/js/api.js')).call('ListPartitionStats', {})")[
                "partitions"
            ]
            rows = page.eval_on_selector_all(
                "tr[data-partition]", "rows => rows.map(row => [row.cells[0].innerText, row.cells[2].innerText])"
            )
            assert rows == [[each["partitionId"], each["primary"]] for each in told]
            opened_page(page, console, "nodes").get_by_text("serving").nth(2).wait_for()
            opened_page(page, console, "overview").locator(".health[data-level=good]").wait_for()

    def at_a_paused_node(self, console: str) -> None:
        """Looks at the node, its finding, and the totals."""
        with launched() as browser:
            page = opened_page(browser.new_page(), console, "nodes")
            page.locator(f"tr.stale[data-node={SILENT}]").wait_for()
            opened_page(page, console, "findings").locator("[data-severity=error]", has_text=SILENT).first.wait_for()
            tile = opened_page(page, console, "overview").locator(".tile", has_text="Nodes reporting")
            tile.locator("dd.bad", has_text="2 of 3").wait_for()


def opened_page(page: Page, console: str, view: str) -> Page:
    """The page at a view."""
    page.set_default_timeout(PATIENCE_MS)
    page.goto(f"{console}/#/{view}")
    page.wait_for_selector(f"[data-view={view}]")
    return page
