"""Counts of failed operations, by class: caused by the client, refused, or failed at the server."""

from dstk.v1 import admin_pb2


def by_class(counts: admin_pb2.FailureCounts) -> str:
    """Formats the counts of all classes; failures at the server are red."""
    server = f"{counts.server:,} by the server"
    return f"{counts.client:,} by the client, {counts.refused:,} refused, {f'[red]{server}[/]' if counts.server else server}"


def total(*counts: admin_pb2.FailureCounts) -> str:
    """Formats the sum of all classes; red if any failed at the server."""
    number = sum(each.client + each.refused + each.server for each in counts)
    return f"[red]{number:,}[/]" if any(each.server for each in counts) else f"{number:,}"


def as_json(counts: admin_pb2.FailureCounts) -> dict[str, int]:
    """Returns the counts as one object."""
    return {"client": counts.client, "refused": counts.refused, "server": counts.server}
