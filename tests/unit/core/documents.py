"""Chain documents of tests, and the rules that they may name."""

from __future__ import annotations

from typing import Any

from cognito_rules.chain import Chain
from tests.unit.core.chains import a_manifest

EVERYBODY = {"applications": ["*"]}
CATALOGUE = {
    manifest.name: manifest
    for manifest in (
        a_manifest("guard", writes=["deny"], on_error="deny"),
        a_manifest("enricher", writes=["user.user_metadata"]),
        a_manifest("namer", stage="token", writes=["id_token.claims", "access_token.claims"]),
        a_manifest("scoper", stage="token", writes=["access_token.scopes"]),
        a_manifest("reader", reads=["client.metadata"]),
        a_manifest("teller", stage="after_login"),
        a_manifest(
            "refresher",
            stage="after_login",
            once_per_user=True,
            once_unless="again",
            configuration={"again": {"type": "boolean", "default": False}},
        ),
        a_manifest("secretive", secrets=["API_KEY"]),
        a_manifest("paid", external=True),
        a_manifest("granter", stage="token", writes=["aws.role"]),
        a_manifest("grouper", writes=["user.groups"]),
        a_manifest("authoriser", writes=["authorization"]),
        a_manifest("prover", writes=["mfa"]),
        a_manifest(
            "configured",
            configuration={
                "words": {"type": "list[string]", "required": True, "min_items": 1},
                "limit": {"type": "integer", "default": 5, "minimum": 1},
                "free": {"type": "json"},
                "roles": {"type": "map[string, string]", "default": {}, "source": "template"},
            },
        ),
        a_manifest("registrar", stage="sign_up", writes=["deny"], on_error="deny"),
        a_manifest("closer", writes=["deny"], on_error="deny", needs_applications=True),
        a_manifest("open", configuration={"free": {"type": "json"}}),
    )
}


def parse(*entries: Any, **document: Any) -> Chain:
    """Return the chain of these entries."""
    return Chain.parse({"rules": list(entries), **document}, CATALOGUE)
