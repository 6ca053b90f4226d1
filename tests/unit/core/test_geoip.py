"""Where an address is, from a database that the test makes."""

from __future__ import annotations

from pathlib import Path

import pytest

from cognito_rules.geoip import GeoDatabase
from tests.geo_database import write_geo_database


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_geo_database(tmp_path_factory.mktemp("geoip") / "geoip.mmdb")


def test_a_place_in_the_words_of_auth0(file: Path) -> None:
    assert GeoDatabase(file).of("200.3.60.7") == {
        "country_code": "AR",
        "country_name": "Argentina",
        "continent_code": "SA",
        "city_name": "Córdoba",
        "latitude": -31.4,
        "longitude": -64.2,
        "time_zone": "America/Argentina/Cordoba",
    }


def test_only_what_the_database_knows(file: Path) -> None:
    assert GeoDatabase(file).of("2001:db8::1") == {"country_code": "CH"}


@pytest.mark.parametrize("address", ["10.0.0.5", "192.0.2.1", "::1"])
def test_an_address_that_it_does_not_know(file: Path, address: str) -> None:
    assert GeoDatabase(file).of(address) is None


@pytest.mark.parametrize("content", [None, b"", b"no database"])
def test_a_file_that_cannot_be_read_is_logged_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, content: bytes | None
) -> None:
    path = tmp_path / "geoip.mmdb"
    if content is not None:
        path.write_bytes(content)
    database = GeoDatabase(path)

    assert [database.of("200.3.60.7"), database.of("200.3.60.7")] == [None, None]

    assert [record.message for record in caplog.records] == ["geo database cannot be read"]


def test_a_database_of_one_family_knows_no_address_of_the_other(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    database = GeoDatabase(write_geo_database(tmp_path / "geoip.mmdb", only_ipv4=True))

    assert database.of("2001:db8::1") is None
    assert (database.of("200.3.60.7") or {})["country_code"] == "AR"
    assert caplog.records == []


def test_a_file_that_is_damaged_inside_is_logged_once_and_no_login_fails_by_it(
    file: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    whole = file.read_bytes()
    start = whole.index(b"country") - 40  # into the data, behind the tree
    path = tmp_path / "geoip.mmdb"
    path.write_bytes(whole[:start] + b"\xff" * 60 + whole[start + 60 :])
    database = GeoDatabase(path)

    assert [database.of("200.3.60.7"), database.of("200.3.60.7")] == [None, None]

    assert [record.message for record in caplog.records] == ["geo database cannot be read"]
