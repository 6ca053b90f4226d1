"""One spelling for each e-mail address, so that addresses can be compared and hashed."""

from __future__ import annotations

from functools import lru_cache
from typing import Any


def normalise_email(address: Any) -> str | None:
    """Return the address in lower case with an ASCII domain, or None when it is malformed.

    White space around it and one dot at the domain's end are dropped; a domain in other scripts
    is converted by IDNA. Source: RFC 5321 (domains have no case), RFC 3490.
    """
    return _normalised(address) if isinstance(address, str) else None


# Rules compare lists of addresses at each login, and IDNA is slow.
@lru_cache(maxsize=1024)
def _normalised(address: str) -> str | None:
    local, _, domain = address.strip().rpartition("@")
    domain = domain.lower().removesuffix(".")
    if not local or not domain or any(character.isspace() for character in local + domain):
        return None
    try:
        ascii_domain = domain.encode("idna").decode("ascii")
    except UnicodeError:
        return None
    return f"{local.lower()}@{ascii_domain}"
