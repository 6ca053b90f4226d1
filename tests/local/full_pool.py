"""A user pool in which every setting is another one than Cognito's default."""

from typing import Any

from local.server import ACCOUNT_ID, REGION, EmbeddedAws

_SMS = {
    "SnsCallerArn": f"arn:aws:iam::{ACCOUNT_ID}:role/sms",
    "ExternalId": "acme",
    "SnsRegion": REGION,
}
SETTINGS: dict[str, Any] = {
    "PoolName": "acme",
    "Policies": {
        "PasswordPolicy": {
            "MinimumLength": 10,
            "RequireUppercase": True,
            "RequireLowercase": True,
            "RequireNumbers": False,
            "RequireSymbols": False,
            "PasswordHistorySize": 5,
            "TemporaryPasswordValidityDays": 2,
        },
        "SignInPolicy": {"AllowedFirstAuthFactors": ["PASSWORD", "EMAIL_OTP"]},
    },
    "DeletionProtection": "ACTIVE",
    "AutoVerifiedAttributes": ["email"],
    "UsernameAttributes": ["email"],
    "UsernameConfiguration": {"CaseSensitive": False},
    "SmsVerificationMessage": "Acme: {####}",
    "EmailVerificationMessage": "Your code is {####}.",
    "EmailVerificationSubject": "Acme",
    "VerificationMessageTemplate": {
        "SmsMessage": "Acme: {####}",
        "EmailMessage": "Your code is {####}.",
        "EmailSubject": "Acme",
        "EmailMessageByLink": "{##Confirm##}",
        "EmailSubjectByLink": "Acme link",
        "DefaultEmailOption": "CONFIRM_WITH_LINK",
    },
    "SmsAuthenticationMessage": "Acme sign-in: {####}",
    "MfaConfiguration": "OPTIONAL",
    "UserAttributeUpdateSettings": {"AttributesRequireVerificationBeforeUpdate": ["email"]},
    "DeviceConfiguration": {
        "ChallengeRequiredOnNewDevice": True,
        "DeviceOnlyRememberedOnUserPrompt": False,
    },
    "EmailConfiguration": {
        "SourceArn": f"arn:aws:ses:{REGION}:{ACCOUNT_ID}:identity/login@example.com",
        "ReplyToEmailAddress": "help@example.com",
        "EmailSendingAccount": "DEVELOPER",
        "From": "Acme <login@example.com>",
        "ConfigurationSet": "login",
    },
    "SmsConfiguration": _SMS,
    "UserPoolTags": {"team": "identity", "cost-centre": "4711"},
    "AdminCreateUserConfig": {
        "AllowAdminCreateUserOnly": True,
        "InviteMessageTemplate": {
            "SMSMessage": "{username} {####}",
            "EmailMessage": "Welcome {username}: {####}",
            "EmailSubject": "Welcome",
        },
    },
    "UserPoolAddOns": {
        "AdvancedSecurityMode": "ENFORCED",
        "AdvancedSecurityAdditionalFlows": {"CustomAuthMode": "AUDIT"},
    },
    "UserPoolTier": "PLUS",
    "AccountRecoverySetting": {"RecoveryMechanisms": [{"Priority": 1, "Name": "verified_email"}]},
    "KeyConfiguration": {
        "KeyType": "CUSTOMER_MANAGED_KEY",
        "KmsKeyArn": f"arn:aws:kms:{REGION}:{ACCOUNT_ID}:key/0f1e2d3c-0000-4000-8000-000000000000",
    },
    "IssuerConfiguration": {"Type": "UPDATED"},
    "AcrConfiguration": {"Level1": {"AcrValue": "https://acme.example/password"}},
}
MFA: dict[str, Any] = {
    "SmsMfaConfiguration": {
        "SmsAuthenticationMessage": "Acme sign-in: {####}",
        "SmsConfiguration": _SMS,
    },
    "SoftwareTokenMfaConfiguration": {"Enabled": True},
    "EmailMfaConfiguration": {"Message": "Acme {####}", "Subject": "Acme"},
    "MfaConfiguration": "OPTIONAL",
    "WebAuthnConfiguration": {
        "RelyingPartyId": "acme.example",
        "UserVerification": "required",
        "FactorConfiguration": "SINGLE_FACTOR",
    },
}


def create(aws: EmbeddedAws, triggers: dict[str, Any] | None = None) -> str:
    """Create the pool with the ``LambdaConfig`` ``triggers`` and return its id."""
    cognito = aws.client("cognito-idp")
    made = cognito.create_user_pool(**SETTINGS, LambdaConfig=triggers or {})
    pool_id: str = made["UserPool"]["Id"]
    cognito.set_user_pool_mfa_config(UserPoolId=pool_id, **MFA)
    return pool_id
