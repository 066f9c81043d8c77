"""What is raised for input that breaks a bound: each names the field, the value and the limit."""


class InvalidInput(ValueError):
    """A value is out of its bounds. `value` is its repr, shortened to 100 characters."""

    def __init__(self, field: str, value: object, limit: str) -> None:
        shown = repr(value)
        self.field = field
        self.value = shown if len(shown) <= 100 else f"{shown[:97]}..."
        self.limit = limit
        super().__init__(f"{field} {self.value} is out of bounds: it must be {limit}")

    def __reduce__(self) -> tuple[object, ...]:
        """Pickles by its attributes: the message is made anew."""
        return _rebuild, (type(self), self.field, self.value, self.limit)


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


def _rebuild(kind: type[InvalidInput], field: str, value: str, limit: str) -> InvalidInput:
    error = kind.__new__(kind, field)
    error.field, error.value, error.limit = field, value, limit
    error.args = (f"{field} {value} is out of bounds: it must be {limit}",)
    return error
