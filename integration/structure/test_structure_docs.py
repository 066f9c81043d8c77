"""The README and docs/ keep to the truth: links resolve, ports and errors are those of the code. What they show is run by
integration/robustness/test_robust_readme.py.
"""

import ast
import re
import sys
from pathlib import Path

import pytest

from dstk_metrics.config import MetricsConfig
from dstk_router.config import RouterConfig
from dstk_service import error_table
from dstk_storage.config import StorageConfig

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
DSTK = Path(sys.executable).with_name("dstk")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]*)(?:#[^)]*)?\)", page.read_text()):
        assert target.startswith("https://") or (page.parent / target).exists(), f"{page.name} links to {target}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_anchor_is_a_heading(page: Path) -> None:
    for target, anchor in re.findall(r"\]\(([^)#]*)#([^)]*)\)", page.read_text()):
        text = (page.parent / target).read_text() if target else page.read_text()
        headings = [
            re.sub(r"[^a-z0-9 -]", "", line.lstrip("# ").lower()) for line in text.splitlines() if line[:1] == "#"
        ]
        assert anchor in [heading.replace(" ", "-") for heading in headings], f"{page.name}: no heading {anchor}"


LINKED_CODE = re.compile(r"\[`([\w.]+(?<!\.py))`\]\(([^)#]+\.py)\)")
"""A function or class, and the module that it is in; a link whose text is a file is none."""


def _definitions(module: Path) -> set[str]:
    """The functions, classes and methods of a module, methods with the name of their class."""
    found = set[str]()
    for node in ast.parse(module.read_text()).body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            found.add(node.name)
        if isinstance(node, ast.ClassDef):
            methods = (each for each in node.body if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef))
            found |= {f"{node.name}.{method.name}" for method in methods}
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_linked_function_exists(page: Path) -> None:
    for name, target in LINKED_CODE.findall(page.read_text()):
        assert name in _definitions(page.parent / target), f"{page.name}: {target} has no {name}"


def test_a_write_passes_at_most_12_modules_on_its_primary() -> None:
    page = (ROOT / "docs" / "follow-one-write.md").read_text()
    hops = re.search(r"^1\. .*?^$", page[page.index("## On the primary") :], re.MULTILINE | re.DOTALL)
    assert hops is not None
    modules = {target for _, target in LINKED_CODE.findall(hops[0])}
    assert 10 <= len(modules) <= 12


def test_the_ports_are_those_of_the_settings() -> None:
    for config, setting, port in (
        (RouterConfig, "listen", "7000"),
        (StorageConfig, "listen", "7101"),
        (RouterConfig, "operations_listen", "7180"),
        (StorageConfig, "operations_listen", "7181"),
        (MetricsConfig, "listen", "7300"),
        (MetricsConfig, "console_listen", "7200"),
        (MetricsConfig, "operations_listen", "7182"),
    ):
        assert config.model_fields[setting].default.endswith(f":{port}")
        assert f"| {port} |" in README


def test_the_page_of_errors_has_the_table_of_the_code() -> None:
    page = (ROOT / "docs" / "errors.md").read_text()
    assert f"\n\n{error_table.markdown()}\n" in page, (
        "python -m dstk_service.error_table prints the table of docs/errors.md"
    )
