"""What the command line says when something does not work: one line why, one line what to do, an exit code."""

import errno

from dstk_cli.directories import data_dir_option
from dstk_formats.errors import NotADump, SourceChanged, SourceError
from dstk_keytypes.errors import Portable
from dstk_localcluster import AlreadyUp, InvalidSpec, LocalClusterError
from dstk_service import errors as service

FAILED = 1
USAGE = 2
NOT_RUNNING = 3
SOME_SKIPPED = 4
INTERRUPTED = 130


class CliError(Portable):
    """A failure that a person can act on.

    `message` says what is wrong, `hint` what to do about it (may be empty), `exit_code` is what the process ends with.
    """

    def __init__(self, message: str, hint: str = "", exit_code: int = FAILED) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.exit_code = exit_code


_OPTIONS = {
    "nodes": "--nodes",
    "router_port": "--router-port",
    "console_port": "--console-port",
    "splits": "--split-at",
}
"""The options that fill the fields of a `ClusterSpec`."""

_SOURCE_HINTS: dict[type[Exception], str] = {
    NotADump: "name the fields that form the key: --key country,id:int",
    SourceChanged: "load from the start, without --resume",
}

_HINTS: dict[type[Exception], str] = {
    service.NotServing: "try again in a moment: a takeover passes by itself. `dstk doctor` says what does not",
    service.Overloaded: "the cluster is busy: try again in a moment",
    service.DiskFull: "writes resume by themselves when there is room; `dstk doctor` says which disks are full",
    service.WriteAmbiguous: "it may or may not have happened: look before doing it again",
    service.DeadlineExceeded: "give it more time with --timeout; if this was to write, look first: it may have been done",
    service.EtagMismatched: "read the record again, then write with the etag that it has now",
    service.AlreadyExists: "omit --if-absent to replace the record",
    service.PermissionDenied: "ask from the router's machine, or name the file with the token in DSTK_ADMIN_TOKEN_FILE",
    service.NotOwner: "the map has just changed: try again",
    service.Quarantined: "`dstk doctor` says what to do about it",
    service.Internal: "this is a defect of DSTK: the log of the server has more",
    service.PreconditionFailed: "`dstk partitions show ID` and `dstk nodes` show the state, `dstk doctor` finds problems",
}


def explain(error: Exception) -> CliError | None:
    """The error for people; None when it is not one that they could act on."""
    if isinstance(error, CliError):
        return error
    if isinstance(error, LocalClusterError):
        return _local(error)
    if isinstance(error, SourceError):
        hint = _SOURCE_HINTS.get(type(error), error.hint)
        return CliError(error.message, hint, USAGE if isinstance(error, NotADump) else FAILED)
    if isinstance(error, service.InvalidArgument):
        return CliError(str(error), exit_code=USAGE)
    if isinstance(error, service.DstkError):
        return CliError(str(error), _hint(error))
    if isinstance(error, OSError):
        return CliError(_os_error(error))
    return None


def _local(error: LocalClusterError) -> CliError:
    """The error in the words of `dstk local`: its options and commands."""
    if isinstance(error, InvalidSpec):
        return CliError(f"{_OPTIONS[error.field]} {error.problem}", error.hint, USAGE)
    if isinstance(error, AlreadyUp):
        option = data_dir_option(error.directory)
        return CliError(str(error), f"`dstk local status{option}` shows it, `dstk local down{option}` stops it")
    return CliError(error.message, error.hint)


def _hint(error: Exception) -> str:
    return next((hint for kind, hint in _HINTS.items() if isinstance(error, kind)), "")


def _os_error(error: OSError) -> str:
    if error.errno == errno.EBADF:
        return "standard input or output is closed, and is needed here"
    why = error.strerror or str(error)
    return f"{error.filename!s}: {why}" if error.filename else why
