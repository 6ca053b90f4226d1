"""How a failed Lambda trigger shows itself to the caller.

https://docs.aws.amazon.com/cognito/latest/developerguide/cognito-user-pools-working-with-lambda-triggers.html
https://docs.aws.amazon.com/cognito-user-identity-pools/latest/APIReference/API_InitiateAuth.html
"""


class TriggerRefused(Exception):
    """A trigger stopped the flow. ``code`` and ``message`` are what the API caller reads."""

    def __init__(self, code: str, message: str):
        super().__init__(message)
        self.code = code
        self.message = message


def raised(trigger: str, message: str) -> TriggerRefused:
    """The function ended with an error: its message, and nothing else of it, goes to the user."""
    return TriggerRefused(
        "UserLambdaValidationException", f"{trigger} failed with error {message}."
    )


def not_called(trigger: str, reason: str) -> TriggerRefused:
    """The function could not be called, or not in time: ``reason`` names the cause."""
    return TriggerRefused(
        "UnexpectedLambdaException", f"{trigger} invocation failed due to error {reason}."
    )


def unusable(trigger: str, reason: str) -> TriggerRefused:
    """The function answered with something that Cognito cannot use."""
    return TriggerRefused(
        "InvalidLambdaResponseException", f"Unrecognizable lambda output of {trigger}: {reason}"
    )
