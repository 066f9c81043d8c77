"""How the history is encoded on disk."""

from collections.abc import Callable

import numpy as np
import pytest

from dstk_metrics.adapters import history_codec as codec


def test_the_encoding_on_disk_is_this() -> None:
    axis = codec.encode_axis([b"", b"a", b"bc"])
    assert axis.hex() == "01dd396bc303000000" + axis[9:].hex()
    assert codec.decode_axis(axis) == [b"", b"a", b"bc"]


@pytest.mark.parametrize("spoil", [lambda data: b"", lambda data: data[:-1], lambda data: b"\x02" + data[1:]])
def test_bytes_that_were_not_written_like_this_are_damaged(spoil: Callable[[bytes], bytes]) -> None:
    for encoded, decode in (
        (codec.encode_axis([b"", b"k"]), codec.decode_axis),
        (codec.encode_floats(np.ones(2, np.float32)), lambda data: codec.decode_floats(data, 2)),
        (codec.encode_known(np.ones(2, np.uint32)), lambda data: codec.decode_known(data, 2)),
    ):
        decode(encoded)
        with pytest.raises(codec.Damaged):
            decode(spoil(encoded))


def test_every_changed_bit_is_noticed() -> None:
    encoded = codec.encode_floats(np.arange(50, dtype=np.float32))
    for place in range(len(encoded)):
        changed = bytearray(encoded)
        changed[place] ^= 1 << (place % 8)
        with pytest.raises(codec.Damaged):
            codec.decode_floats(bytes(changed), 50)
