"""How requests are refused before anything is done."""

from collections.abc import Callable
from typing import Any

import pytest

from dstk_service.errors import InvalidArgument


def check_refusal(check: Callable[[Any], None], request: Any, field: str) -> None:
    """The request is refused, and the message names the field, its value and the limit."""
    with pytest.raises(InvalidArgument) as caught:
        check(request)
    error = caught.value
    assert error.field == field
    assert error.value
    assert error.limit
    for part in (error.field, error.value, error.limit):
        assert part in str(error)
