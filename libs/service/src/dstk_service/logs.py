"""Structured logs on standard error: one JSON object a line, or text for people."""

import logging
import sys
from typing import Literal

from pythonjsonlogger.json import JsonFormatter

_FIELDS = {"levelname": "level", "name": "logger"}


def configure(service: str, level: str, form: Literal["json", "text"], **fields: str) -> None:
    """Sets up the root logger. Every line has `service` and the `fields`."""
    handler = logging.StreamHandler(sys.stderr)
    if form == "json":
        formatter: logging.Formatter = JsonFormatter(
            "%(levelname)s %(name)s %(message)s",
            rename_fields=_FIELDS,
            static_fields={"service": service, **fields},
            timestamp=True,
        )
    else:
        formatter = logging.Formatter(f"%(asctime)s %(levelname)-7s {service}: %(message)s")
    handler.setFormatter(formatter)
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    logging.captureWarnings(capture=True)
