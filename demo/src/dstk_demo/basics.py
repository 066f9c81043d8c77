"""Steps of the demo that show the API: load, get, conditional put, scan, bulk insert, expiry."""

import json
import time
from collections.abc import Awaitable, Sequence

from rich.table import Table

from dstk_cli import progress
from dstk_cli.untrusted import as_markup
from dstk_client import BulkResult, BulkStop, Record
from dstk_demo.context import Demo, Rate
from dstk_demo.places import border, key_of
from dstk_demo.waiting import until
from dstk_keytypes import Etag, Key, KeyRange, Ttl
from dstk_service import figures
from dstk_service.errors import AlreadyExists, EtagMismatched

PARIS = key_of("FR", 2988507)
FIRST_EXTRA_ID = 10**12
"""The demo's own records have ids from here on: real geoname ids are far smaller."""
_BULK_ID = FIRST_EXTRA_ID
_BORDER_ID = FIRST_EXTRA_ID + 10
_EXPIRING_ID = FIRST_EXTRA_ID + 100
_TTL_S = 1.5
_TTL_SLACK_S = 0.5
_LARGEST = 5


async def load(demo: Demo) -> None:
    """Inserts all places in bulk."""
    demo.step(f"Load {len(demo.places.records):,} places")
    records = list(demo.places.records.items())
    with progress.records("  loading", len(records)) as screen:

        def acknowledged(count: int) -> None:
            screen.acknowledged(count)
            screen.reached(screen.meter.records)

        await demo.client.insert_sorted(records, repeat_ambiguous=True, timeout=60.0, progress=acknowledged)
        rate = Rate("bulk insert, fsync on", screen.meter.records, screen.meter.seconds)
    demo.model.update(demo.places.records)
    demo.rates.append(rate)
    text = f"{rate.count:,} records acknowledged in {rate.seconds:.1f} s, {rate.per_second:,.0f} a second"
    demo.claim(rate.count == len(records), text)


async def read_one(demo: Demo) -> None:
    """Gets a record through the thick client and through the router."""
    demo.step("Get")
    demo.code('await client.get(Key.of("city", "FR", 2988507))')
    record = await demo.client.get(PARIS)
    holds = record is not None and record.value == demo.model[PARIS]
    demo.claim(holds, "the record exists and has the value that was loaded")
    if record is not None:
        _show_city(demo, record)
    demo.claim(await demo.gateway.get(PARIS) == record, "the router, open to any language, returns the same record")
    demo.claim(await demo.client.get(key_of("FR", 1)) is None, "a key without a record returns None")


def _show_city(demo: Demo, record: Record) -> None:
    city = json.loads(record.value)
    demo.panel(
        f"[bold]{city['name']}[/], {city['countrycode']}   {city['population']:,} people   {city['timezone']}\n"
        f"etag {record.etag}   written {figures.timestamp(record.written_at_ms)}"
    )


async def conditional_put(demo: Demo) -> None:
    """Puts on the current etag, on the stale one, and on the condition that the key is absent."""
    demo.step("Conditional put")
    before = await demo.client.get(PARIS)
    assert before is not None
    demo.code(f"await client.put(paris, visited, if_etag={before.etag})")
    visited = json.dumps({**json.loads(before.value), "visited": True}).encode()
    etag = await demo.client.put(PARIS, visited, if_etag=before.etag)
    demo.model[PARIS] = visited
    demo.claim(etag > before.etag, f"with the current etag it succeeds: etag {before.etag} becomes {int(etag)}")
    mistake = b"overwritten by mistake"
    current = await _refused(demo.client.put(PARIS, mistake, if_etag=before.etag))
    demo.claim(current == etag, f"with the stale etag {before.etag} it fails, and the error names etag {current}")
    current = await _refused(demo.client.put(PARIS, mistake, if_absent=True))
    demo.claim(current == etag, "a put that requires an absent key fails the same way")
    after = await demo.client.get(PARIS)
    demo.claim(after is not None and after.value == visited, "neither refusal changed the record")


async def _refused(put: Awaitable[Etag]) -> int:
    """Returns the current etag that the refusal names; 0 when the put succeeds."""
    try:
        await put
    except (EtagMismatched, AlreadyExists) as error:
        return error.current_etag
    return 0


async def scan_country(demo: Demo, country: str = "FR") -> None:
    """Scans all places of one country and shows the largest."""
    demo.step(f"Scan one country: {country}")
    demo.code(f'async for record in client.scan(KeyRange.tuple_prefix("city", "{country}")): ...')
    began = time.monotonic()
    found = [record async for record in demo.client.scan(KeyRange.tuple_prefix("city", country))]
    seconds = time.monotonic() - began
    expected = demo.places.by_country[country]
    text = f"{len(found):,} records in {seconds * 1000:.0f} ms, as many as the data set has for {country}"
    demo.claim(len(found) == expected, text)
    demo.claim([record.key for record in found] == sorted(record.key for record in found), "they come in key order")
    demo.screen.print(_largest(found, country))


def _largest(found: Sequence[Record], country: str) -> Table:
    table = Table(box=None, pad_edge=True, header_style="bold")
    for title in ("largest places", "people", "key"):
        table.add_column(title, justify="right" if title == "people" else "left")
    cities = sorted((json.loads(record.value) for record in found), key=lambda city: -city["population"])
    for city in cities[:_LARGEST]:
        key = key_of(country, city["geonameid"])
        table.add_row(as_markup(city["name"]), f"{city['population']:,}", as_markup(key.display()))
    return table


async def bulk_insert(demo: Demo) -> None:
    """Inserts in bulk up to a record that exists, then up to the end of a partition."""
    demo.step("Bulk insert with partial success")
    batch = [(key_of("FR", _BULK_ID + i), b'{"new":%d}' % i) for i in range(5)]
    etag = await demo.client.put(batch[3][0], b'{"there":"before"}')
    demo.model[batch[3][0]] = b'{"there":"before"}'
    demo.code("await client.bulk_insert(five_sorted_records, if_absent=True)   # the fourth exists")
    result = await demo.client.bulk_insert(batch, if_absent=True)
    demo.model.update(batch[: result.inserted])
    _claim_stop(demo, result, (3, len(batch)), BulkStop.KEY_EXISTS)
    demo.claim(result.current_etag == etag, f"the answer names the existing record's etag {int(etag)}")
    demo.claim(await demo.client.get(batch[4][0]) is None, "the record after it was not inserted")
    await _insert_across_a_border(demo)


async def _insert_across_a_border(demo: Demo) -> None:
    split = next(iter(demo.cluster.plan.splits))
    country = str(Key.parse(split).parts()[1])
    below = max(name for name in demo.places.by_country if name < country)
    batch = [(key_of(name, _BORDER_ID), b'{"border":true}') for name in (below, country)]
    demo.code(f"await client.bulk_insert(records)   # one of {below}, one of {country}, where another partition begins")
    result = await demo.client.bulk_insert(batch)
    demo.model.update(batch[: result.inserted])
    _claim_stop(demo, result, (1, 2), BulkStop.PARTITION_END)
    rest = await demo.client.bulk_insert(batch[result.inserted :])
    demo.model.update(batch)
    _claim_stop(demo, rest, (1, 1), BulkStop.COMPLETE)


_STOPS = {
    BulkStop.COMPLETE: "complete",
    BulkStop.KEY_EXISTS: "stopped at a key that exists",
    BulkStop.PARTITION_END: "stopped at the end of the partition",
}


def _claim_stop(demo: Demo, result: BulkResult, counts: tuple[int, int], stop: BulkStop) -> None:
    """Claims that `counts` = (inserted, of so many) records were inserted, and why no more."""
    inserted, total = counts
    holds = result.inserted == inserted and result.stop == stop and len(result.etags) == inserted
    demo.claim(holds, f"inserted {inserted} of {total} as one atomic batch; {_STOPS[stop]} ({stop.name})")


async def expire(demo: Demo) -> None:
    """Puts a record with a time to live and waits until it is gone."""
    demo.step("Expiring key")
    key = key_of("FR", _EXPIRING_ID)
    demo.code(f'await client.put(key, b"gone soon", ttl=Ttl.seconds({_TTL_S}))')
    began = time.monotonic()
    await demo.client.put(key, b"gone soon", ttl=Ttl.seconds(_TTL_S))
    record = await demo.client.get(key)
    demo.claim(record is not None and record.expires_at_ms > record.written_at_ms, "it exists at first")

    async def gone_or_late() -> bool:
        return await demo.client.get(key) is None or time.monotonic() - began > 2 * _TTL_S

    await until(gone_or_late, 0.01)
    lived = time.monotonic() - began
    on_time = _TTL_S - 0.1 < lived < _TTL_S + _TTL_SLACK_S
    demo.claim(on_time, f"{lived:.2f} s after the put it is gone, after its time to live of {_TTL_S} s")
    found = [record async for record in demo.client.scan(KeyRange(key, border("FS")), limit=1)]
    demo.claim(not found, "a scan does not return it either")
