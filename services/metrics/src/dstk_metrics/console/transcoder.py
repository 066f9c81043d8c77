"""The calls of dstk.v1.Metrics as JSON, by protobuf's mapping: one way for all methods, driven by their descriptors."""

import asyncio
import json
import re
from typing import Any

from google.protobuf import json_format
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from dstk.v1 import metrics_pb2
from dstk_keytypes.errors import shortened
from dstk_metrics.application.api import MetricsApi
from dstk_service.errors import InvalidArgument

METHODS: dict[str, MethodDescriptor] = dict(metrics_pb2.DESCRIPTOR.services_by_name["Metrics"].methods_by_name)

LARGE_BYTES = 64 * 1024
"""Answers from this size on are encoded in a thread, so that others are answered meanwhile."""

_WORD_START = re.compile(r"(?<=[a-z])(?=[A-Z])")


class Transcoder:
    """Calls a MetricsApi with JSON."""

    def __init__(self, api: MetricsApi) -> None:
        self._api = api

    async def call(self, method: str, body: bytes) -> bytes:
        """The answer of a unary method as JSON. Raises DstkError."""
        answer: Message = await self._bound(method)(request_of(method, body))
        if answer.ByteSize() < LARGE_BYTES:
            return as_json(answer)
        return await asyncio.to_thread(as_json, answer)

    def stream(self, method: str, request: Message) -> Any:
        """The answers of a streaming method, as an asynchronous generator."""
        return self._bound(method)(request)

    def _bound(self, method: str) -> Any:
        return getattr(self._api, _WORD_START.sub("_", method).lower())


def request_of(method: str, body: bytes) -> Message:
    """The request of a method. Raises InvalidArgument, which names the field. An empty body is an empty request."""
    return message_of(METHODS[method], _fields(body))


def message_of(method: MethodDescriptor, fields: dict[str, Any]) -> Message:
    """The request with these fields. Raises InvalidArgument. Requests are flat: each field is read by itself, to be named."""
    request: Message = GetMessageClass(method.input_type)()
    for name, value in fields.items():
        try:
            json_format.ParseDict({name: value}, request)
        except (json_format.ParseError, RecursionError) as error:
            limit = f"as the JSON of {method.input_type.full_name} has it ({shortened(str(error))})"
            raise InvalidArgument(shortened(name).strip("'"), shortened(value), limit) from None
    return request


def as_json(message: Message) -> bytes:
    """Protobuf's JSON in UTF-8, with the fields that are zero."""
    text = json_format.MessageToJson(message, always_print_fields_with_no_presence=True, indent=None, ensure_ascii=True)
    return text.encode()


def _fields(body: bytes) -> dict[str, Any]:
    try:
        fields = json.loads(body or b"{}")
    except (ValueError, RecursionError) as error:
        raise InvalidArgument("body", shortened(body), f"a JSON object in UTF-8 ({error})") from None
    if not isinstance(fields, dict):
        raise InvalidArgument("body", shortened(fields), "a JSON object, such as {}")
    return fields
