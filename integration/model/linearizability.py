"""Is a history linearizable? Wing and Gong's search with Lowe's memory of configurations that were tried, key by key.

J. Wing and C. Gong, "Testing and verifying concurrent objects" (1993); G. Lowe, "Testing for linearizability" (2017). A
register per key suffices, since linearizability is local: a history is linearizable when that of each key is.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from model.register import NOTHING, Kind, Operation, Outcome, State, is_possible, step

MAX_CONFIGURATIONS = 2_000_000


class CannotTell(Exception):
    """The search was given up: the history has too many operations at once."""


@dataclass(frozen=True, slots=True)
class Violation:
    """A key whose history no order of its operations explains."""

    key: bytes
    operations: tuple[Operation, ...]
    longest: tuple[Operation, ...]
    """The most that can be explained, in order; what comes next contradicts it."""

    def __str__(self) -> str:
        """For people: what went well, then everything else."""
        explained = [f"  {_line(operation)}" for operation in self.longest[-12:]]
        rest = [f"  {_line(operation)}" for operation in self.operations if operation not in self.longest][:12]
        return "\n".join([f"key {self.key!r}: explained so far", *explained, "and then none of", *rest])


def violations(history: Iterable[Operation], initial: State = NOTHING) -> list[Violation]:
    """All keys that are not linearizable. Raises CannotTell."""
    by_key: dict[bytes, list[Operation]] = defaultdict(list)
    for operation in history:
        by_key[operation.key].append(operation)
    found = (check(operations, initial) for operations in by_key.values())
    return [violation for violation in found if violation is not None]


def check(operations: Sequence[Operation], initial: State = NOTHING) -> Violation | None:
    """One key's history. Raises CannotTell."""
    relevant = [o for o in operations if not (o.kind is Kind.GET and o.outcome is Outcome.UNKNOWN)]
    ordered = sorted(relevant, key=lambda operation: operation.called)
    longest = _Search(ordered).run(initial)
    if longest is None:
        return None
    return Violation(ordered[0].key, tuple(ordered), tuple(ordered[at] for at in longest))


class _Frame(NamedTuple):
    """A configuration: the operations done, as bits; the state that they led to; and the state before an unanswered write
    that was only just assumed to have happened.
    """

    done: int
    state: State
    before: State | None


class _Search:
    """Depth first over orders.

    An unanswered write may have happened at any time, which would make the search explode. So it is only ever assumed right in
    front of an operation that would be impossible without it; any other order that explains the history can be turned into
    one like that, by moving the write back to its first witness, or leaving it out where it has none.
    """

    def __init__(self, operations: Sequence[Operation]) -> None:
        self._operations = operations
        self._must = 0
        for at, operation in enumerate(operations):
            if operation.returned != math.inf:
                self._must |= 1 << at
        self._seen: set[_Frame] = set()

    def run(self, initial: State) -> list[int] | None:
        """None when an order explains everything that returned; else the longest order that was found."""
        order: list[int] = []
        longest: list[int] = []
        stack = [(_Frame(0, initial, None), self._candidates(0))]
        while stack:
            frame, candidates = stack[-1]
            if frame.done & self._must == self._must:
                return None
            if not candidates:
                stack.pop()
                if order:
                    order.pop()
                continue
            at = candidates.pop()
            following = self._follow(frame, at)
            if following is None or following in self._seen:
                continue
            self._remember(following)
            order.append(at)
            if len(order) > len(longest):
                longest = order[:]
            stack.append((following, self._candidates(following.done)))
        return longest

    def _follow(self, frame: _Frame, at: int) -> _Frame | None:
        operation = self._operations[at]
        after = step(frame.state, operation)
        if after is None:
            return None
        unanswered = operation.outcome is Outcome.UNKNOWN
        if unanswered and after == frame.state:
            return None  # it did nothing, so it need not be here
        if frame.before is not None and is_possible(frame.before, operation):
            return None  # no witness of the write that was just assumed
        return _Frame(frame.done | 1 << at, after, frame.state if unanswered else None)

    def _remember(self, frame: _Frame) -> None:
        self._seen.add(frame)
        if len(self._seen) > MAX_CONFIGURATIONS:
            key = self._operations[0].key
            raise CannotTell(f"key {key!r}: more than {MAX_CONFIGURATIONS} configurations")

    def _candidates(self, done: int) -> list[int]:
        """What may come next: called before the first return among what is not done. The likeliest last, to be popped
        first: in the order of their returns, those without an answer at the very end.
        """
        first_return = math.inf
        found = []
        begin = (~done & (done + 1)).bit_length() - 1  # the first that is not done
        for at in range(begin, len(self._operations)):
            operation = self._operations[at]
            if operation.called > first_return:
                break
            if not done >> at & 1:
                found.append(at)
                first_return = min(first_return, operation.returned)
        found = [at for at in found if self._operations[at].called <= first_return]
        return sorted(found, key=lambda at: -self._operations[at].returned)


def _line(operation: Operation) -> str:
    condition = f" if_etag={operation.if_etag}" if operation.if_etag else ""
    returned = "?" if operation.returned == math.inf else f"{operation.returned:.4f}"
    answer = f"{operation.outcome.name} etag={operation.etag}"
    return f"[{operation.called:.4f} {returned}] {operation.kind.name} {operation.value!r}{condition} -> {answer}"
