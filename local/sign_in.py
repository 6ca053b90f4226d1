"""Sign people and machines in through Cognito, in every flow, e.g. ``App(...).srp(...)``."""

from dataclasses import dataclass

from local.api_sign_in import ApiSignIn
from local.tokens import CALLBACK, AppClient, SignInRefused, Tokens, claims_of
from local.web_sign_in import WebSignIn

__all__ = ["CALLBACK", "App", "AppClient", "SignInRefused", "Tokens", "claims_of"]


@dataclass(frozen=True)
class App(ApiSignIn, WebSignIn):
    """One app client, with the flows of the API and those of the web."""
