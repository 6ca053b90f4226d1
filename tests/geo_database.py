"""A database of two networks, in the shape of GeoLite2 City, made by the test that needs it."""

from __future__ import annotations

from pathlib import Path

from mmdb_writer import MMDBWriter
from netaddr import IPSet

ARGENTINIAN = "200.3.60.7"


def write_geo_database(path: Path, *, only_ipv4: bool = False) -> Path:
    """Write the file and return its path."""
    writer = MMDBWriter(
        ip_version=4 if only_ipv4 else 6,
        ipv4_compatible=not only_ipv4,
        database_type="GeoLite2-City",
    )
    writer.insert_network(
        IPSet(["200.3.60.0/24"]),
        {
            "country": {"iso_code": "AR", "names": {"en": "Argentina", "de": "Argentinien"}},
            "continent": {"code": "SA"},
            "city": {"names": {"en": "Córdoba"}},
            "location": {
                "latitude": -31.4,
                "longitude": -64.2,
                "time_zone": "America/Argentina/Cordoba",
            },
        },
    )
    if not only_ipv4:
        writer.insert_network(IPSet(["2001:db8::/32"]), {"country": {"iso_code": "CH"}})
    writer.to_db_file(str(path))
    return path
