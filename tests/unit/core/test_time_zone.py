import zoneinfo
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cognito_rules.errors import ConfigurationError
from cognito_rules.time_zone import time_zone


@pytest.mark.parametrize(
    "name",
    ["", "Mars/Olympus", "Europe", "/etc/localtime", "../zoneinfo/UTC", "Europe/../UTC", "zone.tab",
     "utc ", "europe/berlin2"],
)  # fmt: skip
def test_what_is_no_zone_is_an_error(name: str) -> None:
    with pytest.raises(ConfigurationError, match="time zone"):
        time_zone(name)


@pytest.mark.parametrize(
    ("name", "local"),
    [
        ("UTC", "2026-11-22T12:00:00+00:00"),
        ("Europe/Berlin", "2026-11-22T13:00:00+01:00"),
        ("America/Argentina/Buenos_Aires", "2026-11-22T09:00:00-03:00"),
        ("Etc/GMT+5", "2026-11-22T07:00:00-05:00"),
    ],
)
def test_a_zone_tells_local_time(name: str, local: str) -> None:
    moment = datetime(2026, 11, 22, 12, tzinfo=UTC)

    assert moment.astimezone(time_zone(name)).isoformat() == local


def test_zones_come_from_the_layer_and_not_from_the_machine(
    tmp_path: Path,
) -> None:
    time_zone.cache_clear()
    zoneinfo.ZoneInfo.clear_cache()
    (tmp_path / "Asia").mkdir()
    (tmp_path / "Asia" / "Tokyo").write_bytes(b"TZif of somebody else")
    zoneinfo.reset_tzpath(to=[str(tmp_path)])
    try:
        moment = datetime(2026, 11, 22, 12, tzinfo=UTC).astimezone(time_zone("Asia/Tokyo"))
    finally:
        zoneinfo.reset_tzpath()

    assert moment.hour == 21
