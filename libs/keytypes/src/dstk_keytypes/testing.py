"""Hypothesis strategies for tests of all members. Needs hypothesis, which DSTK does not install."""

from datetime import UTC, datetime, timedelta, timezone

from hypothesis import strategies as st

from dstk_keytypes.codec import Part, encode
from dstk_keytypes.key import Key
from dstk_keytypes.limits import MAX_KEY_BYTES

_OFFSETS = st.timedeltas(timedelta(hours=-23), timedelta(hours=23)).map(timezone)
_DATETIMES = st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30), timezones=st.just(UTC) | _OFFSETS)  # noqa: DTZ001
_BORDER_INTEGERS = st.builds(
    lambda size, distance, sign: sign * (256**size + distance),
    st.integers(0, 40),
    st.integers(-2, 2),
    st.sampled_from((-1, 1)),
)
_ZEROS = st.lists(st.sampled_from(("\0", "\x01", "a", "\xff", "\U0001f409")), max_size=5).map("".join)

SCALARS: dict[str, st.SearchStrategy[Part]] = {
    "None": st.none(),
    "bool": st.booleans(),
    "int": st.integers() | st.integers(-300, 300) | _BORDER_INTEGERS,
    "float": st.floats() | st.sampled_from((0.0, -0.0, float("inf"), float("-inf"), float("nan"))),
    "datetime": _DATETIMES,
    "str": st.text(max_size=20) | _ZEROS,
    "bytes": st.binary(max_size=20) | _ZEROS.map(lambda text: text.encode("utf-8")),
    "UUID": st.uuids(),
}
"""One strategy for each type of part except tuple; they favour the boundaries of the encoding."""


def parts() -> st.SearchStrategy[Part]:
    """Parts of every type, nested ones included."""
    scalars = st.one_of(*SCALARS.values())
    return st.recursive(scalars, lambda inner: st.lists(inner, max_size=3).map(tuple), max_leaves=6)


def tuples() -> st.SearchStrategy[tuple[Part, ...]]:
    """Typed tuples of 0..4 parts."""
    return st.lists(parts(), max_size=4).map(tuple)


def typed_keys() -> st.SearchStrategy[Key]:
    """Keys of typed tuples."""
    return tuples().map(encode).filter(lambda data: 0 < len(data) <= MAX_KEY_BYTES).map(Key)


def keys() -> st.SearchStrategy[Key]:
    """Keys of all kinds: typed tuples, text, any bytes."""
    return typed_keys() | st.text(min_size=1, max_size=20).map(Key.text) | st.binary(min_size=1, max_size=20).map(Key)
