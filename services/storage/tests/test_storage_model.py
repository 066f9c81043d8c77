"""The store against a dict: random operations, group commits, splits, clock steps, sweeps, crashes and recounts."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from kit.offloads import inline
from kit.stores import LocalStore, assignment, founding, serve

from dstk_cluster.model import SplitOff
from dstk_keytypes import KeyRange
from dstk_service.testing import ManualClock
from dstk_storage.adapters.memory import MemoryEngine
from dstk_storage.domain.errors import EtagDiffers, Exists, Missing
from dstk_storage.domain.expiry import ExpiryReaper
from dstk_storage.domain.receipt import Receipt
from dstk_storage.domain.recount import Recounter
from dstk_storage.domain.writes import Condition

T = TypeVar("T")
KEYS = st.sampled_from([bytes([letter]) for letter in b"abcdefgh"])
VALUES = st.binary(max_size=4)
CONDITIONS = st.sampled_from([Condition.NONE, Condition.IF_ABSENT, Condition.IF_ETAG])


@dataclass
class Known:
    value: bytes
    etag: int
    expires: int


class StoreModel(RuleBasedStateMachine):
    """Invariant after every step: reads and scans in both directions show exactly the model."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.engine = founding(MemoryEngine())
        self.now = 1_000
        self.model: dict[bytes, Known] = {}
        self.highest: dict[bytes, int] = {}
        self.assigned = [assignment(1)]
        self.next_id = 2
        self.start()

    def call(self, function: Callable[..., T], *args: object) -> T:
        """Runs a plain function inside the event loop."""

        async def run() -> T:
            return function(*args)

        return self.loop.run_until_complete(run())

    def start(self) -> None:
        self.store = LocalStore(self.engine, inline)
        self.store.load()
        self.call(serve, self.store, self.assigned)
        self.committing = self.loop.create_task(self.store.run())

    def live(self) -> dict[bytes, Known]:
        return {key: known for key, known in self.model.items() if not 0 < known.expires <= self.now}

    def durable(self) -> None:
        self.loop.run_until_complete(self.store.durable())

    @rule(key=KEYS, value=VALUES, condition=CONDITIONS, right=st.booleans(), ttl=st.sampled_from([0, 0, 5, 50]))
    def put(self, key: bytes, value: bytes, condition: Condition, right: bool, ttl: int) -> None:
        known = self.live().get(key)
        if_etag = 0 if condition != Condition.IF_ETAG else known.etag if known and right else 10**9
        try:
            etag = self.call(self.store.writer.put, key, value, condition, if_etag, ttl, 0, self.now, Receipt())
        except Exists as refusal:
            assert condition == Condition.IF_ABSENT
            assert known is not None and refusal.current_etag == known.etag
        except EtagDiffers as refusal:
            assert if_etag == 10**9
            assert refusal.current_etag == (known.etag if known else 0)
        else:
            assert condition != Condition.IF_ABSENT or known is None
            assert etag > self.highest.get(key, 0)
            self.highest[key] = etag
            self.model[key] = Known(value, etag, self.now + ttl if ttl else 0)

    @rule(key=KEYS)
    def delete(self, key: bytes) -> None:
        try:
            etag = self.call(self.store.writer.delete, key, 0, 0, 0, self.now, Receipt())
        except Missing:
            assert key not in self.live()
        else:
            assert key in self.live()
            assert etag > self.highest[key]
            self.highest[key] = etag
            del self.model[key]

    @rule(step=st.integers(1, 60))
    def time_passes(self, step: int) -> None:
        self.now += step

    @rule()
    def sweep(self) -> None:
        reaper = ExpiryReaper(self.engine, inline, self.store, self.store.writer, ManualClock(self.now))
        self.durable()
        self.loop.run_until_complete(reaper.step())
        for key in set(self.model) - set(self.live()):
            assert self.engine.get(b"\x04" + key) is None
            self.highest[key] += 1
            del self.model[key]

    @precondition(lambda self: len(self.assigned) < 5)
    @rule(at=KEYS)
    def split(self, at: bytes) -> None:
        for number, part in enumerate(self.assigned):
            if part.range.contains(at) and part.range.start != at:
                lower = assignment(part.id, part.range.start, at, part.epoch + 1)
                upper = assignment(self.next_id, at, part.range.end, part.epoch + 1, SplitOff(part.id))
                self.assigned[number : number + 1] = [lower, upper]
                self.next_id += 1
                self.durable()  # a partition rests while its range changes
                self.call(serve, self.store, self.assigned)
                return

    @rule()
    def restart(self) -> None:
        self.durable()
        self.committing.cancel()
        self.start()

    @rule()
    def recount(self) -> None:
        self.durable()
        recounter = Recounter(self.engine, inline, self.store, ManualClock(self.now))
        for partition in self.store.table:
            self.loop.run_until_complete(recounter.recount(partition))
        live = self.live()
        for partition in self.store.table:
            keys = [key for key in live if partition.range.contains(key)]
            size = sum(len(key) + len(live[key].value) for key in keys)
            assert partition.estimate.size(self.now) == (len(keys), 0, size, 0)

    @invariant()
    def estimates_are_within_their_errors(self) -> None:
        """What has expired counts until it is swept."""
        self.durable()
        for partition in self.store.table:
            estimate = partition.estimate
            true = sum(partition.range.contains(key) for key in self.model)
            if estimate.counted:
                assert abs(estimate.records - true) <= estimate.blind.records_error + estimate.doubt + 1e-6

    @invariant()
    def reads_and_scans_show_the_model(self) -> None:
        self.durable()
        live = self.live()
        for key, known in live.items():
            assert self.store.get(key, 0, self.now) is not None
            assert self.store.get(key, 0, self.now)[0:2] == (known.value, known.etag)
        for reverse in (False, True):
            assert self.scanned(reverse=reverse) == sorted(live, reverse=reverse)

    def scanned(self, *, reverse: bool) -> list[bytes]:
        found: list[bytes] = []
        rest = KeyRange.everything()
        while True:
            page = self.loop.run_until_complete(self.store.scan(rest, 3, 0, self.now, reverse=reverse))
            found += page.keys
            if page.resume_key is None:
                return found
            rest = KeyRange(rest.start, page.resume_key) if reverse else KeyRange(page.resume_key, rest.end)

    def teardown(self) -> None:
        self.committing.cancel()
        self.loop.run_until_complete(asyncio.gather(self.committing, return_exceptions=True))
        self.loop.close()


TestStoreModel = StoreModel.TestCase
TestStoreModel.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
