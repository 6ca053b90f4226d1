"""The command ``cognito-rules``."""
