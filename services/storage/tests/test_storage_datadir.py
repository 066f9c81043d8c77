"""Whose a data directory is: by node.json, by what its engine says of itself, or by what the node is told."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from dstk_keytypes import NodeId
from dstk_storage.adapters.at_rest import find
from dstk_storage.adapters.datadir import DataDir, DataDirError, Identity
from dstk_storage.adapters.engine_files import remove
from dstk_storage.adapters.leveldb import LevelDBOptions
from dstk_storage.domain.identity import EngineIdentity

ME, OTHER = NodeId("me"), NodeId("other")
ENGINE = EngineIdentity("e1", ME, "c", "uid", mark=3)


@pytest.fixture
def used(tmp_path: Path) -> DataDir:
    (tmp_path / "leveldb").mkdir()
    made = DataDir(tmp_path)
    write_identity(made)
    return made


def write_identity(data_dir: DataDir, **fields: object) -> None:
    known = {"format_version": 2, "node_id": "me", "cluster": "c", "cluster_uid": "uid", **fields}
    (data_dir.path / "node.json").write_text(json.dumps(known))


def test_node_json_says_whose_it_is(used: DataDir) -> None:
    assert used.identity("c", None, ENGINE) == used.identity("c", ME, None) == Identity(ME, "c", "uid")


def test_a_new_directory_is_given_an_id(tmp_path: Path) -> None:
    made = DataDir(tmp_path).identity("c", None, None)
    assert (made.cluster, made.cluster_uid) == ("c", "")
    assert DataDir(tmp_path).identity("c", None, None) == made


DAMAGED = [b"", b"\xff\x00", b"[]", b'"x"', b"{}", b"7", b'{"format_version": 2}', b"[" * 100_000]


@pytest.mark.parametrize("content", [None, *DAMAGED])
def test_without_a_readable_node_json_the_engine_says_it(used: DataDir, content: bytes | None) -> None:
    card = used.path / "node.json"
    card.unlink()
    if content is not None:
        card.write_bytes(content)
    assert used.identity("c", None, ENGINE) == Identity(ME, "c", "uid")
    assert json.loads(card.read_bytes())["node_id"] == "me"
    assert (used.path / "node.json.damaged").exists() is (content is not None)


def a_directory(path: Path) -> None:
    path.mkdir()
    (path / "x").write_bytes(b"x")


NO_FILES: dict[str, Callable[[Path], None]] = {
    "a directory": a_directory,
    "a pipe": os.mkfifo,
    "a link to nothing": lambda path: path.symlink_to("nothing"),
    "a link to itself": lambda path: path.symlink_to(path.name),
    "a device": lambda path: path.symlink_to("/dev/null"),
}


@pytest.mark.parametrize("kind", NO_FILES)
@pytest.mark.parametrize("name", ["LOCK", "node.json", "node.json.new", "node.json.damaged", "leveldb", "leveldb.new"])
def test_what_is_no_file_in_the_place_of_one_is_in_nobodys_way(tmp_path: Path, name: str, kind: str) -> None:
    for _ in range(2):  # the second time, what was moved aside before is there, too
        with DataDir(tmp_path) as data_dir:
            find(data_dir, LevelDBOptions(), "c", ME, 1).engine.close()
        remove(tmp_path / name)
        NO_FILES[kind](tmp_path / name)
        if name == "node.json.damaged":
            (tmp_path / "node.json").write_bytes(b"damaged")
        if name == "leveldb.new":
            shutil.rmtree(tmp_path / "leveldb")
        with DataDir(tmp_path) as data_dir:
            found = find(data_dir, LevelDBOptions(), "c", ME, 1)
            found.engine.close()
            assert found.identity.node_id == ME


@pytest.mark.parametrize("fields", [{"node_id": "No!"}, {"node_id": 7}, {"cluster_uid": None, "node_id": None}])
def test_fields_out_of_bounds_are_damage(used: DataDir, fields: dict[str, object]) -> None:
    write_identity(used, **fields)
    assert used.identity("c", None, ENGINE).node_id == ME


def test_without_either_it_must_be_told(used: DataDir) -> None:
    (used.path / "node.json").unlink()
    with pytest.raises(DataDirError, match="--node-id"):
        used.identity("c", None, None)
    assert used.identity("c", ME, None) == Identity(ME, "c", "")


def test_another_nodes_card_beside_the_nodes_own_engine_is_exchanged(used: DataDir) -> None:
    write_identity(used, node_id="other")
    assert used.identity("c", ME, ENGINE).node_id == ME


@pytest.mark.parametrize("engine", [None, EngineIdentity("e1", OTHER, "c", "uid", mark=3)])
def test_another_nodes_directory_is_refused(used: DataDir, engine: EngineIdentity | None) -> None:
    write_identity(used, node_id="other")
    with pytest.raises(DataDirError, match="belongs to node 'other', but --node-id is 'me'"):
        used.identity("c", ME, engine)


def test_another_clusters_directory_is_refused_by_engine_or_card(used: DataDir) -> None:
    with pytest.raises(DataDirError, match="belongs to cluster 'c'"):
        used.identity("d", ME, ENGINE)
    (used.path / "node.json").unlink()
    with pytest.raises(DataDirError, match="belongs to cluster 'c'"):
        used.identity("d", ME, ENGINE)


@pytest.mark.parametrize("version", [1, 3, "2", None])
def test_another_format_is_refused_and_left_as_it_is(used: DataDir, version: object) -> None:
    write_identity(used, format_version=version)
    before = (used.path / "node.json").read_bytes()
    with pytest.raises(DataDirError, match="this program knows 2"):
        used.identity("c", ME, ENGINE)
    assert (used.path / "node.json").read_bytes() == before


def at_rest(directory: Path) -> tuple[str, str]:
    """Id of the engine that is found, and why it took another's place."""
    found = find(DataDir(directory), LevelDBOptions(), "c", ME, 1)
    found.engine.close()
    return found.own.engine, found.own.why


def test_a_new_directory_gets_an_engine_that_replaces_none_and_keeps_it(tmp_path: Path) -> None:
    engine, why = at_rest(tmp_path)
    assert why == ""
    assert at_rest(tmp_path) == (engine, "")


def test_a_crash_while_the_first_engine_is_made_leaves_a_new_directory(tmp_path: Path) -> None:
    DataDir(tmp_path).identity("c", ME, None)
    (tmp_path / "leveldb.new").mkdir()
    assert at_rest(tmp_path)[1] == ""


def test_a_directory_that_has_met_its_cluster_and_lost_its_engine_says_so(tmp_path: Path) -> None:
    write_identity(DataDir(tmp_path))
    assert at_rest(tmp_path)[1] == "leveldb: is missing"


def test_a_crash_while_a_damaged_engine_is_replaced_forgets_nothing(tmp_path: Path) -> None:
    at_rest(tmp_path)
    (tmp_path / "leveldb").rename(tmp_path / "leveldb.damaged-1")
    (tmp_path / "node.json").unlink()
    assert at_rest(tmp_path)[1] == "leveldb: is missing"
    assert [path.name for path in DataDir(tmp_path).engine_files.kept()] == ["leveldb.damaged-1"]


def test_a_leveldb_of_somebody_else_is_moved_aside(tmp_path: Path) -> None:
    found = find(DataDir(tmp_path), LevelDBOptions(), "c", ME, 1)
    batch = found.engine.batch()
    batch.put(b"\x01engine", b"{}")
    found.engine.write(batch)
    found.engine.close()
    assert at_rest(tmp_path)[1].startswith("leveldb: ")
    assert len(DataDir(tmp_path).engine_files.kept()) == 1
