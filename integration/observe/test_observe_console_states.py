"""The console of an empty, a broken, a hostile and a large cluster, and of one that cannot be reached."""

from collections.abc import Iterator

import pytest
from axe_playwright_python.sync_playwright import Axe
from kit import console, metrics_data
from kit.browser import NARROW, WIDE, Opened, launched, opened
from kit.fake_metrics import FakeMetrics
from playwright.sync_api import Browser

from dstk.v1 import metrics_pb2
from dstk_doctor import Facts
from dstk_service.errors import NotServing, PermissionDenied

pytestmark = pytest.mark.observe

VIEWS = ("overview", "nodes", "partitions", "heatmap", "hot", "events", "findings")
READY = {
    "overview": ".tile .note",
    "nodes": "tbody tr",
    "partitions": ".scroller tbody tr",
    "heatmap": "[data-view] caption",
    "hot": "tbody tr",
    "events": "tbody tr",
    "findings": ".findings li",
}
LARGE = 100_000
SORT_SECONDS = 0.5


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with launched() as made:
        yield made


def shown(made: Opened, view: str) -> None:
    """Opens a view and waits until it shows data."""
    made.go(view)
    made.page.wait_for_selector(READY[view], state="attached")


def test_an_empty_cluster_says_so_in_every_view(browser: Browser) -> None:
    with opened(browser, FakeMetrics([], nodes=0)) as made:
        shown(made, "overview")
        made.page.get_by_text("The cluster has no partitions yet.").wait_for()
        made.go("partitions")
        made.page.get_by_text("No partitions").wait_for()
        made.go("heatmap")
        made.page.get_by_text("Nothing is recorded of this time yet.").first.wait_for()
        made.go("hot")
        made.page.get_by_text("No partition is hot.").wait_for()


def test_a_silent_node_is_grey_and_a_finding_says_what_to_do(browser: Browser) -> None:
    with opened(browser, FakeMetrics(metrics_data.broken()), console.node_silent) as made:
        shown(made, "overview")
        page = made.page
        page.locator(".health[data-level=bad]").filter(has_text="storage-2").wait_for()
        assert "2 of 3" in page.locator(".tile", has_text="Nodes reporting").inner_text().replace("\n", "")
        assert "16 with old figures" in page.locator(".tile", has_text="Partitions served").inner_text()
        shown(made, "nodes")
        assert "silent" in page.locator("tr.stale[data-node=storage-2]").inner_text()
        assert page.locator("tr.stale").count() == 1
        made.go("partitions")
        page.wait_for_selector("tr.stale")
        rows = {row.get_attribute("data-partition"): row.inner_text() for row in page.locator("tr.stale").all()}
        assert "never" in rows["2"]
        assert "\u2013" in rows["2"]
        assert "old, 94 s" in rows["5"]
        assert all(int(number) % 3 == 2 for number in rows if number)
        shown(made, "findings")
        finding = page.locator("[data-kind=node_silent]")
        assert "storage-2" in finding.inner_text()
        page.evaluate("navigator.clipboard.writeText = async (text) => { window.copied = text; }")
        finding.get_by_role("button").click()
        finding.get_by_text("Copied").wait_for()
        assert page.evaluate("window.copied") == finding.locator("code").inner_text()


def test_without_the_admin_token_figures_are_shown_and_the_reason_is_said(browser: Browser) -> None:
    def denied() -> Facts:
        raise PermissionDenied("the admin token is missing or wrong")

    with opened(browser, FakeMetrics(metrics_data.busy()), denied) as made:
        shown(made, "overview")
        made.page.get_by_text("The doctor cannot look at the cluster: the admin token is missing").wait_for()
        made.go("nodes")
        made.page.locator(".notice", has_text="the admin token is missing").wait_for()
        made.forgive("403")


def test_a_connection_that_is_lost_is_said_and_comes_back_by_itself(browser: Browser) -> None:
    with opened(browser, FakeMetrics(metrics_data.busy())) as made:
        shown(made, "overview")
        connection = made.page.locator("#connection")
        assert connection.inner_text() == "Live"
        made.api.trouble = NotServing("etcd was wiped", 1.0)
        made.page.get_by_text("Connection lost, showing data from").wait_for()
        assert connection.get_attribute("data-state") == "lost"
        made.api.trouble = None
        made.page.wait_for_selector("#connection[data-state=live]")
        assert connection.inner_text() == "Live"
        made.forgive("503")


def test_hostile_keys_are_shown_as_dstk_shows_them_and_obeyed_by_nobody(browser: Browser) -> None:
    with opened(browser, FakeMetrics(metrics_data.hostile())) as made:
        made.go("partitions")
        page = made.page
        page.wait_for_selector("tr[data-partition='7']")
        cells = page.eval_on_selector_all("tr[data-partition]", "rows => rows.map(row => row.cells[1].innerText)")
        assert cells[1:4] == [
            "0x00011b5b33316d",
            "<img src=x onerror=alert(1)>",
            "<script>window.hacked = true</script>",
        ]
        assert cells[4] == "0x" + "abc\u202ecba\u202d".encode().hex()
        assert cells[6] == "0x" + "ff" * 1024
        heights = set(page.eval_on_selector_all("tr[data-partition]", "rows => rows.map(row => row.offsetHeight)"))
        assert len(heights) == 1
        for view in VIEWS:
            made.go(view)
            page.wait_for_selector(READY[view], state="attached")
            assert page.evaluate("window.hacked") is None
            assert page.locator("main img").count() == 0
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), view


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_axe_finds_nothing(browser: Browser, dark: bool) -> None:
    axe = Axe()
    with opened(browser, FakeMetrics(metrics_data.broken()), console.node_silent, dark=dark) as made:
        for view in VIEWS:
            shown(made, view)
            made.page.wait_for_timeout(100)
            found = axe.run(made.page)
            assert not found.violations_count, f"{view}: {found.generate_report()}"
        made.page.evaluate("document.querySelector('main').append(document.createElement('button'))")
        assert axe.run(made.page).violations_count, "a button without a name"


@pytest.mark.parametrize("size", [NARROW, (1920, 1080), WIDE], ids=lambda size: str(size[0]))
def test_every_view_fits_its_window(browser: Browser, size: tuple[int, int]) -> None:
    with opened(browser, FakeMetrics(metrics_data.busy()), size=size) as made:
        for view in VIEWS:
            shown(made, view)
            assert made.page.evaluate("document.documentElement.scrollWidth <= innerWidth"), view
            used = made.page.evaluate(
                "document.querySelector('[data-view]').getBoundingClientRect().width / innerWidth"
            )
            assert used > 0.75, view


def test_the_theme_follows_the_system_until_one_is_chosen(browser: Browser) -> None:
    with opened(browser, FakeMetrics(metrics_data.busy()), dark=True) as made:
        made.go("overview")
        theme = made.page.locator("html")
        button = made.page.locator("#theme")
        assert theme.get_attribute("data-theme") == "dark"
        made.page.emulate_media(color_scheme="light")
        made.page.wait_for_selector("html[data-theme=light]")
        button.click()
        button.click()
        assert (theme.get_attribute("data-theme"), button.inner_text()) == ("dark", "Theme: dark")
        made.page.reload()
        assert made.page.locator("html").get_attribute("data-theme") == "dark"


def test_all_can_be_done_with_the_keyboard_alone(browser: Browser) -> None:
    with opened(browser, FakeMetrics(metrics_data.busy())) as made:
        shown(made, "overview")
        page = made.page
        focused = "document.activeElement.innerText"
        page.keyboard.press("Tab")
        assert page.evaluate(focused) == "Skip to the content"
        names = []
        for _ in VIEWS:
            page.keyboard.press("Tab")
            names.append(page.evaluate(focused))
        assert names == ["Overview", "Nodes", "Partitions", "Heat map", "Hot partitions", "Events", "Findings"]
        outline = "getComputedStyle(document.activeElement).outlineStyle"
        assert page.evaluate(outline) != "none"
        for _ in range(4):
            page.keyboard.press("Shift+Tab")
        page.keyboard.press("Enter")
        page.wait_for_selector("[data-view=partitions]")
        assert page.evaluate(focused) == "Partitions"
        reach(made, "Reads")
        page.keyboard.press("Enter")
        page.wait_for_selector("th[aria-sort=descending]")
        reach(made, "8")
        page.keyboard.press("Enter")
        page.get_by_role("dialog").wait_for()
        page.keyboard.press("Escape")
        assert page.get_by_role("dialog").count() == 0


def reach(made: Opened, name: str) -> None:
    """Presses Tab until the focus is on what has this text."""
    for _ in range(60):
        made.page.keyboard.press("Tab")
        if made.page.evaluate("document.activeElement.innerText").strip("▲▼ \n") == name:
            return
    raise AssertionError(f"the keyboard does not reach {name!r}")


def test_the_heat_map_moves_by_keys(browser: Browser) -> None:
    with opened(browser, FakeMetrics(metrics_data.busy())) as made:
        shown(made, "heatmap")
        page = made.page
        page.wait_for_selector(".u-over")
        page.locator(".heat-plot").focus()
        for press, field in (("+", "end"), ("ArrowLeft", "fromMs"), ("0", "start")):
            with page.expect_request(lambda request: request.url.endswith("GetHistory")) as asked:
                page.keyboard.press(press)
            assert field in asked.value.post_data_json


def test_a_hundred_thousand_rows_are_sorted_within_half_a_second(browser: Browser) -> None:
    api = FakeMetrics(metrics_data.busy(LARGE, nodes=100), nodes=100)
    api.sort(metrics_pb2.FIGURE_READS, metrics_pb2.FIGURE_RECORDS, metrics_pb2.FIGURE_WRITES)
    with opened(browser, api) as made:
        page = made.go("partitions")
        page.wait_for_selector("tr[data-partition]")
        seconds = [page.evaluate(CLICK, name) for name in ("Reads", "Records", "Writes")]
        print(f"sorted and drawn within {', '.join(f'{each:.2f}' for each in seconds)} s")
        assert max(seconds) <= SORT_SECONDS
        assert page.locator("table").get_attribute("aria-rowcount") == str(LARGE + 1)
        page.evaluate("document.querySelector('.scroller').scrollTop = 1e9")
        page.wait_for_selector(f"tr[aria-rowindex='{LARGE + 1}'][data-partition]")
        assert page.locator(".scroller tr").count() < 120


CLICK = """async (name) => {
  const head = [...document.querySelectorAll("th button")].find((each) => each.innerText.trim() === name);
  const first = () => document.querySelector("tr[aria-rowindex='2']");
  const before = first();
  const began = performance.now();
  head.click();
  while (first() === before || !head.closest("th").hasAttribute("aria-sort") || !first()?.dataset.partition) {
    await new Promise((done) => requestAnimationFrame(done));
  }
  await new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
  return (performance.now() - began) / 1000;
}"""
