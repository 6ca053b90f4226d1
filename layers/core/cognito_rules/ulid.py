"""Identifiers that sort by the time at which they were made.

Ten lines of our own: a package would be one more import of a cold start.

Source: the ULID specification (48 bits of milliseconds, 80 random bits, Crockford's base 32).
"""

from __future__ import annotations

import secrets
from datetime import datetime

_DIGITS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_LENGTH = 26
_RANDOM_BITS = 80


def new_ulid(moment: datetime) -> str:
    """Return a new ULID, 26 characters; those of a later millisecond sort after it.

    ``moment`` is aware of its time zone.
    """
    milliseconds = int(moment.timestamp() * 1000)
    number = (milliseconds << _RANDOM_BITS) | secrets.randbits(_RANDOM_BITS)
    return "".join(_DIGITS[(number >> (5 * place)) & 31] for place in reversed(range(_LENGTH)))
