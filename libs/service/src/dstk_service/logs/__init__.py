"""Structured logs on standard error: one JSON object a line with the names of ECS, or text for people.

`fields` and `actions` are the registry of what a line can have; `formats` writes it, `throttle` limits it, `privacy` keeps keys
of users out of it, and `writer` keeps a slow or full disk away from requests.
"""

import logging
import sys
import threading
from types import TracebackType
from typing import Any, Literal

from dstk_service.logs import fields, vanished
from dstk_service.logs.formats import EcsFormatter, TextFormatter
from dstk_service.logs.handler import STANDARD_ERROR, LogHandler
from dstk_service.logs.privacy import hide, show

log = logging.getLogger(__name__)


def configure(
    service: str, version: str, level: str, form: Literal["json", "text"], *, show_keys: bool = False, **known: str
) -> None:
    """Sets up the root logger. Every line has the service's name and version, and what is `known` by the names of ECS.

    An exception that nothing catches is a line as well, in the main thread and in others.
    """
    redact = show if show_keys else hide
    base = {fields.SERVICE: service, fields.SERVICE_TYPE: "dstk", fields.VERSION: version, **known}
    formatter = EcsFormatter(base, redact) if form == "json" else TextFormatter(service, redact)
    flush()
    logging.basicConfig(level=level.upper(), handlers=[LogHandler(STANDARD_ERROR, formatter)], force=True)
    logging.captureWarnings(capture=True)
    vanished.keep_out()
    sys.excepthook = _uncaught
    threading.excepthook = _uncaught_in_thread
    sys.unraisablehook = _unraisable


def identify(**known: str) -> None:
    """Adds to what every line has: what a service learns while it starts, such as its node id."""
    for handler in logging.getLogger().handlers:
        if isinstance(handler.formatter, EcsFormatter):
            handler.formatter.known |= {_KNOWN[key]: value for key, value in known.items() if value}


def report(error: object) -> None:
    """Tells the person who started the process why it ends, after the lines of the log."""
    flush()
    print(f"error: {error}", file=sys.stderr)  # noqa: T201 - for a person, in any format of the log


def lost() -> int:
    """Lines of this process that could not be written."""
    return sum(handler.lost for handler in logging.getLogger().handlers if isinstance(handler, LogHandler))


def flush() -> None:
    """Waits a second at most until all lines are written. For a process that writes to standard error by itself, or ends."""
    for handler in logging.getLogger().handlers:
        handler.flush()


_KNOWN = {"node": fields.NODE, "cluster": fields.CLUSTER}


def _uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, trace)
        return
    log.critical("the process ends: unexpected %s", kind.__name__, exc_info=(kind, error, trace))
    flush()


def _uncaught_in_thread(args: Any) -> None:
    if args.exc_value is not None and args.exc_type is not SystemExit:
        exc_info = (args.exc_type, args.exc_value, args.exc_traceback)
        log.error("a thread ended: unexpected %s", args.exc_type.__name__, exc_info=exc_info)


def _unraisable(args: Any) -> None:
    where = args.err_msg or "exception ignored in"
    exc_info = (args.exc_type, args.exc_value, args.exc_traceback) if args.exc_value is not None else None
    log.error("%s %r", where, args.object, exc_info=exc_info)
