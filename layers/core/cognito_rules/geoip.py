"""Where an address is, from a MaxMind database that the operator provides.

Source: https://maxmind.github.io/MaxMind-DB/ and the fields of GeoLite2 City and Country. Field
names are those that Auth0's rules know.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Any

from cognito_rules.fields import Facts
from cognito_rules.logs import log_record

if TYPE_CHECKING:
    from maxminddb import Reader

_FIELDS: Mapping[str, tuple[str, ...]] = {
    "country_code": ("country", "iso_code"),
    "country_name": ("country", "names", "en"),
    "continent_code": ("continent", "code"),
    "city_name": ("city", "names", "en"),
    "latitude": ("location", "latitude"),
    "longitude": ("location", "longitude"),
    "time_zone": ("location", "time_zone"),
}


class GeoDatabase:
    """A database file, opened when the first address is looked up."""

    def __init__(self, path: FilePath) -> None:
        self._path = path
        self._reader: Reader | None = None
        self._is_broken = False

    def of(self, address: str) -> Facts | None:
        """Return what the database knows of the address's place, only fields with a value.

        None for an address that it does not know, such as a private one or one of a family that it
        has nothing of, and for all of them when the file cannot be read; that is logged once.
        """
        record = self._record(address)
        if not isinstance(record, Mapping):
            return None
        found = {name: _at(record, path) for name, path in _FIELDS.items()}
        return {name: value for name, value in found.items() if value is not None} or None

    def _record(self, address: str) -> Any:
        if self._is_broken:
            return None
        import maxminddb  # only a chain that asks for places pays

        try:
            if self._reader is None:
                self._reader = maxminddb.open_database(self._path, maxminddb.MODE_AUTO)
            is_covered = ":" not in address or self._reader.metadata().ip_version == 6
            return self._reader.get(address) if is_covered else None
        except (OSError, maxminddb.InvalidDatabaseError) as error:
            self._is_broken = True
            record = {"file": str(self._path), "reason": type(error).__name__}
            log_record("geo database cannot be read", record, failed=True)
            return None


def _at(record: Any, path: tuple[str, ...]) -> Any:
    for key in path:
        record = record.get(key) if isinstance(record, Mapping) else None
    return record
