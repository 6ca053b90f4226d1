"""Show an application the profile claims of the scopes it asked for, and no more."""

from cognito_rules import Effects, Login, lambda_rule

_SDK_SCOPES = ["aws.cognito.signin.user.admin"]
# Identifiers and Cognito's own: they are no profile data, and cannot be taken out.
_KEPT = ("sub", "identities")


@lambda_rule
def rule(login: Login, effects: Effects) -> None:
    """Take every attribute out of the ID token that no requested scope releases.

    Without the rule Cognito's ``openid`` alone releases all attributes that the client can read.
    ``/oauth2/userInfo`` still does: narrow the client's ReadAttributes for that.

    Reads:  ``login.transaction.requested_scopes``; ``login.user`` (attributes, nickname, email,
            username).
    Writes: ``remove_claim``, and ``set_claim`` for a nickname, on the ID token.
    Source: OpenID Connect Core, section 5.4; Auth0 docs, "Sample use cases: scopes and claims".
    """
    settings = login.configuration
    requested = login.transaction.requested_scopes or []
    is_sdk = requested == _SDK_SCOPES and settings["sdk_logins"] == "apply"
    if "openid" not in requested and not is_sdk:
        return
    released = {claim for scope in requested for claim in settings["scope_claims"].get(scope, ())}
    for name in login.user.attributes or {}:
        if name in _KEPT or name.startswith("cognito:") or name in released:
            continue
        if name.startswith(("custom:", "dev:")) and settings["keep_custom"]:
            continue
        effects.remove_claim("id", name)
    if settings["fill_auth0_profile"] and "nickname" in released and not login.user.nickname:
        local = str(login.user.email or "").rpartition("@")[0]
        effects.set_claim("id", "nickname", local or login.user.username or None)
