"""Which claims and scopes may be written, and how large they may become.

Source: AWS, "Pre token generation Lambda trigger" (claims that cannot be changed) and the
botocore model of cognito-idp (patterns of scopes and resource servers).
"""

from __future__ import annotations

import json
import re
from typing import Any

from cognito_rules.errors import ConfigurationError

# API Gateway takes 10,240 bytes for all headers together; three tokens must fit in them.
MAX_CLAIM_BYTES = 6 * 1024

_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode

PROTECTED_CLAIMS = frozenset(
    {
        *("acr", "amr", "at_hash", "aud", "auth_time", "azp", "client_id", "device_key"),
        *("event_id", "exp", "iat", "identities", "iss", "jti", "nbf", "nonce", "origin_jti"),
        *("scope", "sub", "token_use", "username", "version"),
    }
)
# cognito: is Cognito's own; aws: and the URL feed STS; dev: attributes can only be suppressed.
PROTECTED_PREFIXES = ("cognito:", "aws:", "dev:", "https://aws.amazon.com/")
# Identity pools turn these into principal tags: only set_session_tags and the chain write them.
TAG_CLAIM_PREFIX = "aws_tag_"
GRANTED_TAG_CLAIM = "aws_tag_granted"

# These ID token claims take no JSON object.
SCALAR_ID_CLAIMS = frozenset({"phone_number_verified", "email_verified", "updated_at", "address"})

_SCOPE = re.compile(r"[\x21\x23-\x5B\x5D-\x7E]{1,256}")
_NAMESPACE = re.compile(r"https?://[^\s/?#]+\S*|urn:\S+")
_RETIRED_HOSTS = ("auth0.com", "webtask.io", "webtask.run")


def tag_claim(key: str) -> str:
    """Return the ID token claim for the principal tag ``key``: CostCenter gives …cost_center."""
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|[^A-Za-z0-9]+", "_", key)
    return TAG_CLAIM_PREFIX + words.lower()


def is_protected(name: str) -> bool:
    """Say whether the claim ``name`` is Cognito's own or feeds a tag: no rule may set it."""
    return name in PROTECTED_CLAIMS or name.startswith((*PROTECTED_PREFIXES, TAG_CLAIM_PREFIX))


def is_scope(value: Any) -> bool:
    """Say whether ``value`` is a scope: 1 to 256 visible characters, no quote or backslash."""
    return isinstance(value, str) and _SCOPE.fullmatch(value) is not None


def claim_name(namespace: str, name: str, *, unprefixed: bool = False) -> str:
    """Return ``name`` under ``namespace``, with one ``/`` between them where it is needed.

    A name with a scheme of its own (``https:``, ``urn:``) is returned as it is, and so is any name
    where the namespace is empty and ``unprefixed`` says that this is meant.

    Raises
    ------
    ConfigurationError : the namespace is missing or no http(s) URL or URN, or the claim is
        protected.
    """
    has_scheme = name.startswith(("http://", "https://", "urn:"))
    if not has_scheme and not (unprefixed and not namespace):
        if not _NAMESPACE.fullmatch(namespace):
            raise ConfigurationError(f"namespace {namespace!r} must be an http(s) URL or a URN")
        name = namespace + ("" if namespace.endswith(("/", "#", ":")) else "/") + name
    if is_protected(name):
        raise ConfigurationError(f"protected_claim: the claim {name!r} cannot be set by a rule")
    return name


def is_retired_namespace(namespace: str) -> bool:
    """Say whether the namespace uses a host that Auth0 refused; legal here, worth a warning."""
    host = namespace.split("//", 1)[-1].split("/", 1)[0].split(":", 1)[0]
    return any(host == retired or host.endswith("." + retired) for retired in _RETIRED_HOSTS)


def claim_size(name: str, value: Any) -> int:
    """Return how many bytes a claim adds to the token's JSON."""
    return len(_encode({name: value}).encode()) - 1
