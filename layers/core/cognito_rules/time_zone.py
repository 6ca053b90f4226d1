"""Time zones from the tzdata package that the layer brings, never from the machine's own files.

A runtime's zone files differ from the laptop's and age with the image; the package is locked.
"""

from __future__ import annotations

import re
from functools import cache
from importlib import import_module
from pathlib import Path
from zoneinfo import ZoneInfo

from cognito_rules.errors import ConfigurationError

_NAME = re.compile(r"[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+)*")


@cache
def time_zone(name: str) -> ZoneInfo:
    """Return the zone with an IANA name, such as ``Europe/Berlin``.

    Raises
    ------
    ConfigurationError : there is no such zone.
    """
    # The pattern also keeps the path inside the package.
    path = Path(str(import_module("tzdata").__file__)).parent / "zoneinfo" / name
    if not _NAME.fullmatch(name) or not path.is_file():
        raise ConfigurationError(f"there is no time zone {name!r}")
    with path.open("rb") as file:
        try:
            return ZoneInfo.from_file(file, key=name)
        except ValueError as error:  # the package also holds lists of zones
            raise ConfigurationError(f"there is no time zone {name!r}") from error
