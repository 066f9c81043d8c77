"""The README and docs/ keep to the truth: links resolve, ports and errors are those of the code. What they show is run by
integration/robustness/test_robust_readme.py.
"""

import re
import sys
from pathlib import Path

import pytest

from dstk_router.config import RouterConfig
from dstk_service import status
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


def test_the_ports_are_those_of_the_settings() -> None:
    for config, port in ((RouterConfig, "7000"), (StorageConfig, "7101")):
        assert config.model_fields["listen"].default.endswith(f":{port}")
        assert f"| {port} |" in README


def test_every_error_is_documented() -> None:
    table = (ROOT / "docs" / "errors.md").read_text()
    for kind, code in status.CODES.items():
        assert f"| {code.name} | {kind.reason} |" in table
