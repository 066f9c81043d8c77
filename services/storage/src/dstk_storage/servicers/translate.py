"""The domain's refusals as errors of the API."""

from types import TracebackType
from typing import Protocol

from dstk.v1 import topology_pb2
from dstk_service import errors as api
from dstk_storage.domain import errors as domain
from dstk_storage.ports import EngineError


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
        if isinstance(error, (domain.StorageError, EngineError)):
            raise self(error) from error

    def __call__(self, error: domain.StorageError | EngineError) -> api.DstkError:
        """The API's error for one of the domain's."""
        match error:
            case domain.NotOwned():
                return api.NotOwner(*self._owners.owner(error.key, before=error.before))
            case domain.Missing():
                return api.NotFound(error.key)
            case domain.Exists():
                return api.AlreadyExists(error.current_etag)
            case domain.EtagDiffers():
                return api.EtagMismatched(error.current_etag)
            case domain.QueueFull():
                return api.Overloaded(error.what, error.retry_after)
            case domain.LeaseOver():
                return api.NotServing(str(error), 0.02)
            case domain.ReadOnly():
                return api.DiskFull(str(error), 1.0)
            case domain.CommitFailed():
                return api.WriteAmbiguous(str(error))
            case domain.Corrupt():
                return api.Quarantined(str(error))
        return api.NotServing(f"the storage engine cannot be read: {error}", 1.0)
