"""Who reads from an engine while it compacts: the files that a reader began with stay until it has ended."""


class OpenReaders:
    """Iterators and snapshots that are open. They begin and end on any thread: each step is one operation on a dictionary."""

    def __init__(self) -> None:
        self._open: dict[object, int] = {}
        """With how many compactions there had been when it began."""
        self._compactions = 0

    def begin(self) -> object:
        """Returns what `end` takes."""
        reader = object()
        self._open[reader] = self._compactions
        return reader

    def end(self, reader: object) -> None:
        """It reads no more."""
        del self._open[reader]

    def compacted(self) -> None:
        """Files were replaced: whoever reads now may hold the old ones."""
        self._compactions += 1

    @property
    def has_older(self) -> bool:
        """Whether a reader is open that began before the last compaction ended."""
        return any(begun < self._compactions for begun in list(self._open.values()))
