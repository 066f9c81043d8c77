"""What is raised for input that breaks a bound: each names the field, the value and the limit."""

_SHOWN = 100


class InvalidInput(ValueError):
    """A value is out of its bounds.

    `field` is its name, `value` its repr, shortened to about 100 characters, `limit` what it must be, in words.
    """

    def __init__(self, field: str, value: object, limit: str) -> None:
        self.field = field
        self.value = _shortened(value)
        self.limit = limit
        super().__init__(field, self.value, limit)

    def __str__(self) -> str:
        return f"{self.field} {self.value} is out of bounds: it must be {self.limit}"


class InvalidKey(InvalidInput):
    """Not a key, or not a typed tuple."""


class InvalidValue(InvalidInput):
    """Not a value: longer than 1 MiB."""


class InvalidRange(InvalidInput):
    """Not a key range, or a key that cannot split it."""


class InvalidEtag(InvalidInput):
    """Not an etag."""


class InvalidTtl(InvalidInput):
    """Not a time to live."""


class InvalidId(InvalidInput):
    """Not the id of a node or a partition."""


def _shortened(value: object) -> str:
    """The repr; of long text and bytes only the beginning is ever rendered: a refusal must be cheap."""
    if isinstance(value, str | bytes):
        value = value[: _SHOWN + 1]
    try:
        shown = repr(value)
    except ValueError:  # a number of more digits than Python agrees to render
        shown = f"{type(value).__name__}(...)"
    return shown if len(shown) <= _SHOWN else f"{shown[: _SHOWN - 3]}..."
