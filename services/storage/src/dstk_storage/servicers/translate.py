"""What the domain and the engine raise, as errors of the API."""

from types import TracebackType
from typing import Protocol

from dstk.v1 import topology_pb2
from dstk_service.errors import DstkError, NotOwner, NotServing
from dstk_storage.domain import errors as domain
from dstk_storage.ports import EngineError

ENGINE_RETRY_SECONDS = 1.0


class Owners(Protocol):
    """Who owns what, by the newest map that is known."""

    def owner(self, key: bytes, *, before: bool) -> tuple[topology_pb2.Partition | None, str]:
        """(partition, address of its primary) of a key, or of the keys just below it; (None, "") when unknown."""


class Translator:
    """Use as a context manager around domain calls, or call it with a single error."""

    def __init__(self, owners: Owners) -> None:
        self._owners = owners

    def __enter__(self) -> None:
        """Nothing to prepare."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Raises the API's error for one of the domain's."""
        if isinstance(error, (domain.StorageError, EngineError)) and not isinstance(error, DstkError):
            raise self(error) from error

    def __call__(self, error: domain.StorageError | EngineError) -> DstkError:
        """The API's error for one of the domain's: itself, unless the servicers know more."""
        if isinstance(error, DstkError):
            return error
        if isinstance(error, domain.NotOwned):
            return NotOwner(*self._owners.owner(error.key, before=error.before))
        return NotServing(f"the storage engine cannot be read: {error}", ENGINE_RETRY_SECONDS)
