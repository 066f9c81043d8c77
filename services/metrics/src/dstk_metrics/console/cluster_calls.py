"""Nodes, events, findings and replicas as JSON."""

import asyncio
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from dstk_doctor import CHECKS, Finding, Severity
from dstk_keytypes.errors import shortened
from dstk_metrics.console.survey import Snapshot, Survey
from dstk_service.errors import InvalidArgument

OF_A_KIND = 10
"""Findings of one kind in an answer; their numbers by kind count all."""


class ClusterCalls:
    """Answers from the newest snapshot, which is encoded once."""

    def __init__(self, survey: Survey) -> None:
        self._survey = survey
        self._encoded: tuple[Snapshot, bytes] | None = None

    async def cluster(self, _: Request) -> Response:
        """Nodes, events and findings. Raises the DstkError of a survey that fails."""
        snapshot = await self._survey.newest()
        if self._encoded is None or self._encoded[0] is not snapshot:
            self._encoded = snapshot, await asyncio.to_thread(_cluster, snapshot)
        return Response(self._encoded[1], media_type="application/json")

    async def replicas(self, request: Request) -> Response:
        """The replicas of the partition that the query names, as its nodes and its primary see them."""
        partition_id = _partition_id(request.query_params.get("partition", ""))
        snapshot = await self._survey.newest()
        seen = snapshot.facts.second
        status = seen.status_of.get(partition_id)
        return JSONResponse(
            {
                "atMs": snapshot.at_ms,
                "status": None if status is None else _as_dict(status),
                "replicas": [_as_dict(each) for each in seen.replicas if each.partition_id == partition_id],
                "silentNodes": list(seen.silent),
            }
        )


def _cluster(snapshot: Snapshot) -> bytes:
    facts, findings = snapshot.facts, snapshot.findings
    found = {
        "atMs": snapshot.at_ms,
        "trouble": snapshot.trouble,
        "healthy": not any(each.severity is Severity.ERROR for each in findings),
        "checks": len(CHECKS),
        "severities": Counter(each.severity for each in findings),
        "kinds": Counter(each.kind for each in findings),
        "findings": [_finding(each) for each in _first_of_each_kind(findings)],
        "nodes": [_as_dict(each) for each in facts.nodes],
        "silentNodes": list(facts.second.silent),
        "wantedReplicas": facts.wanted,
        "events": [_as_dict(each) for each in facts.events],
        "controller": None if facts.controller is None else _as_dict(facts.controller),
    }
    return json.dumps(found).encode()


def _first_of_each_kind(findings: Sequence[Finding]) -> Iterator[Finding]:
    seen: Counter[str] = Counter()
    for each in findings:
        seen[each.kind] += 1
        if seen[each.kind] <= OF_A_KIND:
            yield each


def _finding(finding: Finding) -> dict[str, Any]:
    return {
        "severity": finding.severity,
        "kind": finding.kind,
        "what": finding.what,
        "where": finding.where,
        "run": finding.run,
        "alerts": list(finding.alerts),
    }


def _as_dict(message: Message) -> dict[str, Any]:
    found: dict[str, Any] = MessageToDict(message, always_print_fields_with_no_presence=True)
    return found


def _partition_id(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 20):  # noqa: PLR2004 - digits of 2^64
        raise InvalidArgument("partition", shortened(text), "the id of a partition, a number")
    return int(text)
