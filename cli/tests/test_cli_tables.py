"""Tables on narrow terminals: whole columns are left out and named; what is shown is whole."""

import io

import pytest
from rich.console import Console

from dstk_cli.tables import table


def rendered(width: int, spare: tuple[str, ...] = ("load", "zone")) -> str:
    made = table("id", "zone", ">load", spare=spare)
    made.add_row("storage-1", "a-long-name-of-a-zone", "1,234,567")
    file = io.StringIO()
    Console(file=file, width=width).print(made)
    return file.getvalue()


def test_where_there_is_room_everything_is_shown() -> None:
    text = rendered(80)
    assert text.splitlines() == [
        "id         zone                        load",
        "storage-1  a-long-name-of-a-zone  1,234,567",
    ]


@pytest.mark.parametrize(
    ("width", "gone"), [(43, []), (42, ["load"]), (32, ["load"]), (31, ["load", "zone"]), (9, ["load", "zone"])]
)
def test_the_least_important_columns_are_left_out_first(width: int, gone: list[str]) -> None:
    text = rendered(width)
    assert "storage-1" in text.splitlines()[1]
    header = text.splitlines()[0].split()
    assert [title for title in ("load", "zone") if title not in header] == gone
    assert ("no room for" in " ".join(text.split())) == bool(gone)
    assert all(each in text for each in gone)


def test_a_table_is_shown_whole_again_where_there_is_room_again() -> None:
    made = table("id", "zone", spare=("zone",))
    made.add_row("storage-1", "a-zone")
    texts = []
    for width in (10, 40):
        file = io.StringIO()
        Console(file=file, width=width).print(made)
        texts.append(file.getvalue())
    assert "a-zone" not in texts[0]
    assert texts[1].splitlines() == ["id         zone  ", "storage-1  a-zone"]


def test_prose_wraps_between_words_before_a_column_is_left_out_or_broken() -> None:
    made = table("time", "event", "reason", spare=("event",), prose="reason")
    made.add_row("2023-11-14T22:13:20Z", "transfer_primary", "balance: storage-1 is the primary of five partitions")
    texts = {}
    for width in (60, 59, 45):
        file = io.StringIO()
        Console(file=file, width=width).print(made)
        texts[width] = file.getvalue()
    assert all("2023-11-14T22:13:20Z" in text for text in texts.values())
    assert [("transfer_primary" in text) for text in texts.values()] == [True, False, False]
    words = " ".join(line[22:].strip() for line in texts[45].splitlines()[1:])
    assert words.startswith("balance: storage-1 is the primary of five partitions")
