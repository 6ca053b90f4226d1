"""What runs inside the emulator's process: ministack, completed where it differs from AWS.

Every module here completes one part, names the AWS page that it follows, and has one function
``install()`` that puts it in place. Imports of ministack are expensive and only work in the
emulator's own environment, so nothing is imported before ``install()``.
"""

from importlib import import_module

# In this order: a later module builds on the earlier ones.
COMPLETIONS = (
    "lambda_errors",
    "packages",
    "cold_start",
    "secrets",
    "groups",
    "pool_settings",
    "calls",
    "authentication",
    "challenges",
    "choice_based",
    "custom_auth",
    "sign_up",
    "write_attributes",
    "user_migration",
    "tokens",
    "token_endpoint",
    "client_token",
    "managed_login",
    "federation",
    "identity_pools",
    "sts",
    "app_config",
    "embedded_metrics",
    "encryption_context",
    "event_sources",
    "templates",
)


def install() -> None:
    """Put every completion in place, before the server takes its first request."""
    for name in COMPLETIONS:
        import_module(f"{__name__}.{name}").install()
