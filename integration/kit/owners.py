"""Owners of keys whom nobody knows."""

from typing_extensions import override

from dstk.v1 import topology_pb2
from dstk_storage.servicers.translate import Owners


class NoOwners(Owners):
    """Knows the owner of no key."""

    @override
    def owner(self, key: bytes, *, before: bool) -> tuple[topology_pb2.Partition | None, str]:
        return None, ""
