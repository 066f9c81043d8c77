"""Steps of the demo that show the API: load, get, conditional put, scan, bulk insert, expiry."""

import json
import time

from rich.table import Table

from dstk_cli.data import values
from dstk_cli.data.load.progress import shown
from dstk_cli.demo.places import border, key_of
from dstk_cli.demo.stage import Rate, Stage
from dstk_cli.untrusted import as_markup
from dstk_cli.waiting import until
from dstk_client import BulkResult, BulkStop
from dstk_keytypes import Key, KeyRange, Ttl
from dstk_service.errors import AlreadyExists, EtagMismatched

PARIS = key_of("FR", 2988507)
FIRST_EXTRA_ID = 10**12
"""Ids from here on are the demo's own: real geoname ids are far below."""
_TTL_S = 1.5
_TTL_SLACK_S = 0.5


async def load(stage: Stage) -> None:
    """All places, in bulk."""
    stage.step(f"Load {len(stage.places.records):,} places")
    records = list(stage.places.records.items())
    with shown("  loading", len(records)) as screen:

        def acknowledged(count: int) -> None:
            screen.acknowledged(count)
            screen.reached(screen.meter.records)

        await stage.client.insert_sorted(records, repeat_ambiguous=True, timeout=60.0, progress=acknowledged)
        rate = Rate("bulk insert, fsync on", screen.meter.records, screen.meter.seconds)
    stage.model.update(stage.places.records)
    stage.rates.append(rate)
    claim = f"{rate.count:,} records acknowledged in {rate.seconds:.1f} s, {rate.per_second:,.0f} a second"
    stage.check(rate.count == len(records), claim)


async def read_one(stage: Stage) -> None:
    """A get, through the thick client and through the router."""
    stage.step("Get")
    stage.code('await client.get(Key.of("city", "FR", 2988507))')
    record = await stage.client.get(PARIS)
    stage.check(
        record is not None and record.value == stage.model[PARIS], "the record is there, and is what was loaded"
    )
    if record is not None:
        city = json.loads(record.value)
        stage.panel(
            f"[bold]{city['name']}[/], {city['countrycode']}   {city['population']:,} people   {city['timezone']}\n"
            f"etag {record.etag}   written {values.timestamp(record.written_at_ms)}"
        )
    stage.check(await stage.gateway.get(PARIS) == record, "the router, which any language can ask, gives the same")
    stage.check(await stage.client.get(key_of("FR", 1)) is None, "a key without a record gives None")


async def conditional_put(stage: Stage) -> None:
    """A put on the current etag, and the same on the stale one."""
    stage.step("Conditional put")
    before = await stage.client.get(PARIS)
    assert before is not None
    stage.code(f"await client.put(paris, visited, if_etag={before.etag})")
    visited = json.dumps({**json.loads(before.value), "visited": True}).encode()
    etag = await stage.client.put(PARIS, visited, if_etag=before.etag)
    stage.model[PARIS] = visited
    stage.check(etag > before.etag, f"with the current etag it succeeds: etag {before.etag} becomes {int(etag)}")
    current = 0
    try:
        await stage.client.put(PARIS, b"overwritten by mistake", if_etag=before.etag)
    except EtagMismatched as error:
        current = error.current_etag
    stage.check(
        current == etag, f"with the stale etag {before.etag} it is refused, and the refusal names etag {current}"
    )
    current = 0
    try:
        await stage.client.put(PARIS, b"overwritten by mistake", if_absent=True)
    except AlreadyExists as error:
        current = error.current_etag
    stage.check(current == etag, "so is a put that wants the key to be absent")
    after = await stage.client.get(PARIS)
    stage.check(after is not None and after.value == visited, "neither refusal changed the record")


async def scan_country(stage: Stage, country: str = "FR") -> None:
    """All places of one country, in key order, and the largest of them."""
    stage.step(f"Scan one country: {country}")
    stage.code(f'async for record in client.scan(KeyRange.tuple_prefix("city", "{country}")): ...')
    began = time.monotonic()
    found = [record async for record in stage.client.scan(KeyRange.tuple_prefix("city", country))]
    seconds = time.monotonic() - began
    expected = stage.places.by_country[country]
    claim = f"{len(found):,} records in {seconds * 1000:.0f} ms, as many as the data set has for {country}"
    stage.check(len(found) == expected, claim)
    stage.check([record.key for record in found] == sorted(record.key for record in found), "they come in key order")
    table = Table(box=None, pad_edge=True, header_style="bold")
    for title in ("largest places", "people", "key"):
        table.add_column(title, justify="right" if title == "people" else "left")
    cities = sorted((json.loads(record.value) for record in found), key=lambda city: -city["population"])
    for city in cities[:5]:
        key = key_of(country, city["geonameid"])
        table.add_row(as_markup(city["name"]), f"{city['population']:,}", as_markup(key.display()))
    stage.screen.print(table)


async def bulk_insert(stage: Stage) -> None:
    """Bulk inserts that stop: at a record that exists, and at the end of a partition."""
    stage.step("Bulk insert with partial success")
    batch = [(key_of("FR", FIRST_EXTRA_ID + i), b'{"new":%d}' % i) for i in range(5)]
    etag = await stage.client.put(batch[3][0], b'{"there":"before"}')
    stage.model[batch[3][0]] = b'{"there":"before"}'
    stage.code("await client.bulk_insert(five_sorted_records, if_absent=True)   # the fourth exists")
    result = await stage.client.bulk_insert(batch, if_absent=True)
    stage.model.update(batch[: result.inserted])
    _check_stop(stage, result, 3, BulkStop.KEY_EXISTS)
    stage.check(result.current_etag == etag, f"the answer names the record in the way, etag {int(etag)}")
    stage.check(await stage.client.get(batch[4][0]) is None, "what comes behind it was not touched")
    await _across_a_border(stage)


async def _across_a_border(stage: Stage) -> None:
    split = next(iter(stage.cluster.plan.splits))
    country = str(Key.parse(split).parts()[1])
    below = max(name for name in stage.places.by_country if name < country)
    batch = [(key_of(name, FIRST_EXTRA_ID + 10), b'{"border":true}') for name in (below, country)]
    stage.code(f"await client.bulk_insert(records)   # of {below} and of {country}, where another partition begins")
    result = await stage.client.bulk_insert(batch)
    stage.model.update(batch[: result.inserted])
    _check_stop(stage, result, 1, BulkStop.PARTITION_END)
    rest = await stage.client.bulk_insert(batch[result.inserted :])
    stage.model.update(batch)
    _check_stop(stage, rest, 1, BulkStop.COMPLETE)


def _check_stop(stage: Stage, result: BulkResult, inserted: int, stop: BulkStop) -> None:
    name = result.stop.name
    holds = result.inserted == inserted and result.stop == stop and len(result.etags) == inserted
    stage.check(holds, f"{result.inserted} inserted from the front, as one atomic batch; stopped by {name}")


async def expire(stage: Stage) -> None:
    """A record with a time to live, waited for."""
    stage.step("Expiring key")
    key = key_of("FR", FIRST_EXTRA_ID + 100)
    stage.code(f'await client.put(key, b"gone soon", ttl=Ttl.seconds({_TTL_S}))')
    began = time.monotonic()
    await stage.client.put(key, b"gone soon", ttl=Ttl.seconds(_TTL_S))
    record = await stage.client.get(key)
    stage.check(record is not None and record.expires_at_ms > record.written_at_ms, "it is there at first")

    async def gone_or_late() -> bool:
        return await stage.client.get(key) is None or time.monotonic() - began > 2 * _TTL_S

    await until(gone_or_late, 0.01)
    lived = time.monotonic() - began
    on_time = _TTL_S - 0.1 < lived < _TTL_S + _TTL_SLACK_S
    stage.check(on_time, f"{lived:.2f} s after the put it is gone, as its time to live of {_TTL_S} s says")
    found = [record async for record in stage.client.scan(KeyRange(key, border("FS")), limit=1)]
    stage.check(not found, "a scan does not show it either")
