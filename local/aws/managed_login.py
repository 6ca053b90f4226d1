"""The sign-in page: triggers when somebody signs in there, and their refusals on the page.

https://docs.aws.amazon.com/cognito/latest/developerguide/cognito-user-pools-working-with-lambda-triggers.html
https://docs.aws.amazon.com/cognito/latest/developerguide/login-endpoint.html
https://docs.aws.amazon.com/cognito/latest/developerguide/authorization-endpoint.html

Whether post authentication runs here, and whether pre token generation runs now or when the code is
redeemed, AWS's pages leave open: both are settings.
"""

from contextvars import ContextVar
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl, urlencode

from local.aws import authentication, codes, tokens, user_migration
from local.aws.emulator import Response, app, cognito, concurrency, wrap
from local.aws.events import JsonObject
from local.aws.refusals import TriggerRefused
from local.aws.settings import CURRENT

HTML = {"Content-Type": "text/html; charset=utf-8", "Cache-Control": "no-store"}

_client_id: ContextVar[str] = ContextVar("client_of_the_page", default="")


async def _body_request(
    original: Any, method: str, path: str, headers: Any, body: bytes, query: Any
) -> Any:
    """Serve the form off the event loop: the triggers may call this server back."""
    if path in ("/oauth2/login", "/login") and method == "POST":
        return await concurrency.run_reentrant(
            cognito.handle_login_submit, method, path, headers, body, query
        )
    return await original(method, path, headers, body, query)


def _submit(
    original: Any, method: str, path: str, headers: Any, body: bytes, query: Any
) -> Response:
    form = dict(parse_qsl(body.decode("utf-8", errors="replace"), keep_blank_values=True))
    waiting = cognito._pending_user_auth.get(form.get("ua_token"), {})
    request = cognito._pending_new_password.get(form.get("np_token")) or waiting or form
    token = _client_id.set(request.get("client_id", ""))
    try:
        response: Response = original(method, path, headers, body, query)
        return response
    except TriggerRefused as refusal:
        return _page_with(refusal.message, request)
    finally:
        _client_id.reset(token)


def _page_with(message: str, request: JsonObject) -> Response:
    """Return the page that begins a sign-in, with the trigger's text above it."""
    client = cognito._find_pool_by_client_id(request.get("client_id", ""))[2]
    page = (
        cognito._username_page_html
        if cognito._use_choice_based_ui(client)
        else cognito._login_page_html
    )
    text = page(
        request.get("client_id", ""),
        request.get("redirect_uri", ""),
        request.get("scope", ""),
        request.get("state", ""),
        "code",
        request.get("code_challenge", ""),
        request.get("code_challenge_method", ""),
        request.get("nonce", ""),
        error_message=message,
    )
    return 200, dict(HTML), text.encode()


def _authenticate(original: Any, pool: JsonObject, username: str, password: str) -> Any:
    """The page's password check: user migration and pre authentication come first."""
    try:
        user_migration.migrate(
            pool, user_migration.SIGN_IN, _client_id.get(), username, password, {}
        )
    except TriggerRefused:
        # The page says no more than after a wrong password.
        return None, "Incorrect username or password."
    authentication.attempt(pool, _client_id.get(), username, {})
    user, message = original(pool, username, password)
    if user is not None and not user.get("_password"):
        return None, "Incorrect username or password."
    return user, message


def _begin_challenge(
    original: Any, pool: JsonObject, token: str, session: JsonObject, challenge: str
) -> Any:
    """The page's one-time password: pre authentication comes before the mail is sent."""
    if challenge == "EMAIL_OTP":
        authentication.attempt(pool, _client_id.get(), session["username"], {})
    return original(pool, token, session, challenge)


def _signed_in(
    original: Any,
    client_id: str,
    pool_id: str,
    redirect_uri: str,
    scope: str,
    username: str,
    nonce: str,
    code_challenge: str,
    code_challenge_method: str,
    state: str,
) -> Response:
    """Somebody proved who they are: post authentication, then the way back with a code."""
    _, pool, client = cognito._find_pool_by_client_id(client_id)
    if redirect_uri not in client.get("CallbackURLs", []):
        refused: Response = cognito._oauth2_error("invalid_request", "redirect_uri is not allowed")
        return refused
    wrong: Response | None = cognito._pkce_error_redirect(
        redirect_uri, code_challenge, code_challenge_method, state
    )
    if wrong is not None:
        return wrong
    grant = tokens.Grant(
        pool=pool,
        client_id=client_id,
        user=pool["_users"][username],
        source=tokens.HOSTED,
        scope=cognito._granted_scopes(client, scope),
        nonce=nonce,
    )
    return back_with_code(
        grant,
        redirect_uri,
        code_challenge,
        state,
        calls_post_authentication=CURRENT.post_authentication_fires_in_managed_login,
    )


def back_with_code(
    grant: tokens.Grant,
    redirect_uri: str,
    challenge: str,
    state: str,
    *,
    calls_post_authentication: bool,
) -> Response:
    """Call the triggers of a finished sign-in and redirect to the application with a code.

    TriggerRefused when one of them says no; then there is no code.
    """
    grant = replace(grant, authenticated=not calls_post_authentication)
    if CURRENT.managed_login_pre_token == "login":
        decided = tokens.decide(grant)
    else:
        tokens.post_authentication(grant)
        decided = None
    code = codes.new(replace(grant, authenticated=True), redirect_uri, challenge, decided)
    return redirect(redirect_uri, {"code": code, "state": state})


def redirect(address: str, parameters: dict[str, str]) -> Response:
    """Return a redirect to ``address`` with those ``parameters`` that are not empty."""
    given = {name: value for name, value in parameters.items() if value}
    location = address + ("&" if "?" in address else "?") + urlencode(given)
    return 302, {"Location": location, "Cache-Control": "no-store"}, b""


def install() -> None:
    """Put the triggers into ministack's pages."""
    wrap(app, "_handle_cognito_body_request", _body_request)
    wrap(cognito, "handle_login_submit", _submit)
    wrap(cognito, "_authenticate_hosted_ui_user", _authenticate)
    wrap(cognito, "_begin_user_auth_challenge", _begin_challenge)
    wrap(cognito, "_issue_auth_code_redirect", _signed_in)
