"""What a line of the log looks like: its names, its fields, and what it never has."""

import json
import logging
import os
import subprocess
import sys
from typing import Any

import pytest
from kit.log_lines import record

from dstk_keytypes import Key, KeyRange
from dstk_service.logs.actions import ACTIONS, OUTCOMES
from dstk_service.logs.fields import FIELDS, LogFields, by_name
from dstk_service.logs.formats import EcsFormatter, TextFormatter
from dstk_service.logs.privacy import show

KNOWN = {"service.name": "storage"}


def line(made: logging.LogRecord, formatter: EcsFormatter | None = None) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((formatter or EcsFormatter(KNOWN)).format(made))
    return found


def test_a_line_is_one_json_object_with_names_of_ecs() -> None:
    made = record("serving\n%s", "now", level=logging.WARNING, **LogFields(partition=3, epoch=4, node="storage-2"))
    made.created = 1_767_225_600.1234
    text = EcsFormatter(KNOWN).format(made)
    assert "\n" not in text
    assert json.loads(text) == {
        "@timestamp": "2026-01-01T00:00:00.123Z",
        "log.level": "warning",
        "message": "serving\nnow",
        "ecs.version": "8.17.0",
        "log.logger": "dstk",
        "process.pid": os.getpid(),
        "service.name": "storage",
        "dstk.partition": 3,
        "dstk.epoch": 4,
        "dstk.node": "storage-2",
    }


def test_an_action_is_an_event_with_category_type_and_outcome() -> None:
    made = line(record("split", **LogFields(action="split", seconds=0.25)))
    event = {name: value for name, value in made.items() if name.startswith("event.")}
    assert event == {
        "event.action": "split",
        "event.kind": "event",
        "event.category": ["database"],
        "event.type": ["change"],
        "event.outcome": "success",
        "event.duration": 250_000_000,
    }
    assert line(record("split", **LogFields(action="split", outcome="failure")))["event.outcome"] == "failure"


def test_an_exception_has_its_class_its_message_and_its_traceback() -> None:
    try:
        raise OSError("disk full")
    except OSError:
        made = logging.getLogger("dstk").makeRecord("dstk", logging.ERROR, "f.py", 1, "no", (), sys.exc_info())
    found = line(made)
    assert (found["error.type"], found["error.message"]) == ("OSError", "disk full")
    assert found["error.stack_trace"].startswith("Traceback (most recent call last)")


def test_what_libraries_add_is_kept_apart() -> None:
    found = line(record("up", color="red", size=3))
    assert found["dstk.undeclared"] == ["color=red", "size=3"]
    assert set(found) <= set(by_name()), "the index template maps every field"


SECRETS = ("hidden-text", "53c837", "tuple-part")
TEXTS = (
    f"key {Key.text(SECRETS[0])!r}",
    f"key {bytes(Key.text(SECRETS[0]))!r} of {SECRETS[1].encode()!r}",
    f"{KeyRange(Key.text(SECRETS[0]), None)} and more",
    f"{KeyRange(b'', Key.of(SECRETS[2], 1))} and more",
    f"{KeyRange(bytes.fromhex('0053c837'))}",
)


@pytest.mark.parametrize("text", TEXTS)
def test_texts_show_no_keys_unless_a_setting_says_so(text: str) -> None:
    made = record("%s", text, level=logging.ERROR, **LogFields(error=text, reason=text))
    for hidden in (EcsFormatter(KNOWN).format(made), TextFormatter("storage").format(made)):
        assert "(hidden)" in hidden
        assert not any(secret in hidden for secret in SECRETS)
    assert line(made, EcsFormatter(KNOWN, show))["error.message"] == text
    assert text in TextFormatter("storage", show).format(made)


def test_fields_with_keys_are_left_out_unless_a_setting_says_so() -> None:
    made = record("compacted", **LogFields(key_start="7777", key_ranges=["[a .. b)"]))
    assert not any("key" in name for name in line(made))
    assert "7777" not in TextFormatter("storage").format(made)
    shown = line(made, EcsFormatter(KNOWN, show))
    assert (shown["dstk.key.start"], shown["dstk.key.ranges"]) == ("7777", ["[a .. b)"])


def test_a_line_for_people_ends_in_its_fields() -> None:
    text = TextFormatter("storage").format(record("took over", **LogFields(action="failover", partition=3)))
    assert text.endswith("INFO    storage: took over action=failover partition=3")


def test_every_field_has_a_meaning_and_a_name_of_its_own() -> None:
    for key, field in FIELDS.items():
        assert field.meaning.endswith("."), key
        assert not hasattr(logging.makeLogRecord({}), key), f"{key} is an attribute of every LogRecord"
    names = [field.name for key, field in FIELDS.items() if key not in {"partitions", "nodes"}]
    assert len(names) == len(set(names))
    assert all(name.count(".") or name in {"message", "@timestamp"} for name in by_name())


def test_no_name_is_the_beginning_of_another() -> None:
    """Elasticsearch would take it for an object and for a value."""
    names = set(by_name())
    assert not [name for name in names for other in names if other.startswith(f"{name}.")]


def test_every_action_has_a_meaning_and_a_category_of_ecs() -> None:
    assert {action.category for action in ACTIONS.values()} <= {"database", "configuration", "host", "process"}
    assert {action.type for action in ACTIONS.values()} <= {"change", "creation", "start", "end", "info", "error"}
    assert all(action.meaning.endswith(".") for action in ACTIONS.values())
    assert OUTCOMES == ("success", "failure", "unknown")


PROGRAM = """
import logging, sys, threading
from dstk_service import logs
logs.configure("storage", "1.2.3", "info", sys.argv[1])
logs.identify(node="storage-1", cluster="c")
logging.getLogger("dstk").info("hello")
logging.getLogger("dstk").debug("hidden")
thread = threading.Thread(target=lambda: 1 / 0)
thread.start()
thread.join()
if sys.argv[2] == "refuse":
    logs.report("no room")
    sys.exit(1)
raise ValueError("at the end")
"""


def ended(*argv: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-c", PROGRAM, *argv], capture_output=True, text=True, timeout=30, check=False
    )


def test_a_process_logs_its_threads_exceptions_and_the_one_that_ends_it() -> None:
    done = ended("json", "raise")
    assert done.returncode == 1
    hello, thread, end = map(json.loads, done.stderr.splitlines())
    assert (hello["message"], hello["service.version"], hello["service.node.name"], hello["dstk.cluster"]) == (
        "hello",
        "1.2.3",
        "storage-1",
        "c",
    )
    assert (thread["log.level"], thread["error.type"]) == ("error", "ZeroDivisionError")
    assert (end["log.level"], end["error.type"], end["error.message"]) == ("critical", "ValueError", "at the end")


def test_what_a_person_is_told_comes_after_the_log() -> None:
    done = ended("text", "refuse")
    assert done.returncode == 1
    assert done.stderr.splitlines()[0].endswith("INFO    storage: hello")
    assert done.stderr.splitlines()[-1] == "error: no room"
