"""Writes the tables of a report between two markers of a Markdown page, so that no figure is typed by hand."""

from dstk_bench.model import Report
from dstk_bench.render import markdown, tables
from dstk_keytypes.errors import Portable

BEGIN = "<!-- figures: begin (made by `dstk-bench document`) -->"
END = "<!-- figures: end -->"


class MarkersMissingError(Portable, ValueError):
    """A page without the two markers."""

    def __init__(self) -> None:
        super().__init__(f"the page needs the two lines {BEGIN!r} and {END!r}, once each and in this order")


def with_figures(page: str, report: Report) -> str:
    """The page with everything between its markers replaced by the report's tables. Raises MarkersMissingError."""
    before, begin, rest = page.partition(BEGIN)
    _old, end, after = rest.partition(END)
    if not begin or not end or BEGIN in rest or END in after:
        raise MarkersMissingError
    return f"{before}{BEGIN}\n\n{markdown(tables(report))}\n\n{END}{after}"
