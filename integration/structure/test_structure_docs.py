"""The README and docs/ keep to the truth: links resolve, commands exist, and the ten-line client runs as printed."""

import asyncio
import re
import subprocess
import sys
from pathlib import Path

import pytest
from kit.process_cluster import ProcessCluster

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


def test_every_target_and_command_that_the_readme_names_exists() -> None:
    known = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    targets = set(re.findall(r"make ([a-z]+)", known))
    assert set(re.findall(r"(?:`|^)make ([a-z]+)", README, re.MULTILINE)) <= targets
    commands = set(re.findall(r"(?:\$ |bin/|; )dstk ([a-z]+)", README))
    assert len(commands) > 4
    for command in commands:
        subprocess.run([DSTK, command, "--help"], capture_output=True, check=True)


def test_the_ports_are_those_of_the_settings() -> None:
    for config, port in ((RouterConfig, "7000"), (StorageConfig, "7101")):
        assert config.model_fields["listen"].default.endswith(f":{port}")
        assert f"| {port} |" in README


def test_every_error_is_documented() -> None:
    table = (ROOT / "docs" / "errors.md").read_text()
    for kind, code in status.CODES.items():
        assert f"| {code.name} | {kind.reason} |" in table


@pytest.mark.slow
async def test_the_client_in_the_readme_runs_as_printed(tmp_path: Path) -> None:
    (example,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    async with ProcessCluster(tmp_path, nodes=2, splits=["m"], router=True) as cluster:
        program = example.replace("127.0.0.1:7000", cluster.address("router"))
        assert program != example
        done = await asyncio.to_thread(
            subprocess.run, [sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=False
        )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("('city', 'FR', 2988507) b'{\"name\": \"Lutetia\"}'")
