"""What can go wrong with the embedded AWS, each with the one line that a person reads."""


class LocalAwsError(Exception):
    """Base: ``str(error)`` is one line, fit to be printed as it is."""


class SetUpError(LocalAwsError):
    """The environments of the project are missing: ``make setup`` has not run."""


class PortInUseError(LocalAwsError):
    """Another program listens on the port that was asked for."""


class StartError(LocalAwsError):
    """The server ended, or did not answer in time, while it started."""


class DeploymentError(LocalAwsError):
    """``sam build`` or ``sam deploy`` failed; the message names the first reason."""
