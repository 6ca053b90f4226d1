"""Cognito Rules: the names that rules import. Everything else in this package is internal."""

from cognito_rules.addresses import Network, is_in, parse_address, parse_network
from cognito_rules.claims import claim_name, is_scope
from cognito_rules.effects import Effects
from cognito_rules.email_address import normalise_email
from cognito_rules.errors import ConfigurationError, InvalidEffectError, RuleError, UpstreamError
from cognito_rules.iam import account_of, is_role_arn, is_tag_key, is_tag_value
from cognito_rules.login import UNKNOWN, Login
from cognito_rules.rule import Rule, lambda_rule
from cognito_rules.time_zone import time_zone

__all__ = [
    "UNKNOWN",
    "ConfigurationError",
    "Effects",
    "InvalidEffectError",
    "Login",
    "Network",
    "Rule",
    "RuleError",
    "UpstreamError",
    "account_of",
    "claim_name",
    "is_in",
    "is_role_arn",
    "is_scope",
    "is_tag_key",
    "is_tag_value",
    "lambda_rule",
    "normalise_email",
    "parse_address",
    "parse_network",
    "time_zone",
]
