"""What a local cluster refuses, with what to do about it."""

from pathlib import Path

from dstk_keytypes.errors import Portable


class LocalClusterError(Portable):
    """A local cluster cannot do what was asked. `hint` says what to do about it; it may be empty."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class InvalidSpec(LocalClusterError):
    """A `ClusterSpec` asks for what is impossible. `field` names the field, `problem` gives its value and the limit."""

    def __init__(self, field: str, problem: str, hint: str) -> None:
        super().__init__(f"{field} {problem}", hint)
        self.field = field
        self.problem = problem


class AlreadyUp(LocalClusterError):
    """Another supervisor runs the cluster in `directory`."""

    def __init__(self, directory: Path) -> None:
        super().__init__(f"the cluster in {directory} is up already", "stop it first, or use another data directory")
        self.directory = directory
