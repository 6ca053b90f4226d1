"""The embedded AWS: ministack, started, completed and stopped by this project.

``local.server`` starts and ends it, ``local.deployment`` deploys the stack into it,
``local.sign_in`` signs people in through it, ``local.oidc_provider`` is the identity
provider of federated sign-ins, and ``local.aws`` is what runs inside it.
"""
