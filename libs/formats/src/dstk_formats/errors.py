"""What is wrong with a source as a whole; a single bad record is a `BadLineError`."""

from dstk_keytypes.errors import Portable


class SourceError(Portable):
    """The source cannot be read. `hint` says what to do about it; it may be empty."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class NotADump(SourceError):
    """The first line of the source is not that of a dump: more likely it has other records, which need a recipe."""

    def __init__(self) -> None:
        super().__init__("the source is not a dump")


class SourceChanged(SourceError):
    """The part of the source that was read earlier is not as it was then."""

    def __init__(self) -> None:
        super().__init__("the part of the source that was loaded already has changed since")
