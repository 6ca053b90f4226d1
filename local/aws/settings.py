"""What tests may change about the completed Cognito while it runs.

Each setting stands for something AWS does not say, or says in two ways; docs/local.md lists them.
"""

from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, get_args

Order = Literal["post_authentication_first", "pre_token_first"]
Moment = Literal["token_endpoint", "login"]


@dataclass
class Settings:
    """The settings and their defaults.

    trigger_order : whether a sign-in calls post authentication or pre token generation first.
    post_authentication_fires : False leaves post authentication out of every sign-in.
    post_authentication_fires_in_managed_login : the same for local users on the sign-in page only.
    post_authentication_fires_after_new_password : the same for a replaced temporary password.
    pre_token_fires : False leaves pre token generation out.
    managed_login_pre_token : whether managed login and federation call pre token generation when
        the code is redeemed, or already when the person signs in: its result waits with the code.
    deliveries : how often each trigger gets the same event, 1 to 3; the last answer counts.
    """

    trigger_order: Order = "post_authentication_first"
    post_authentication_fires: bool = True
    post_authentication_fires_in_managed_login: bool = True
    post_authentication_fires_after_new_password: bool = True
    pre_token_fires: bool = True
    managed_login_pre_token: Moment = "token_endpoint"
    deliveries: int = 1


CURRENT = Settings()


def change(values: dict[str, Any]) -> dict[str, Any]:
    """Set the given settings, all or none, and return every setting.

    ``{"reset": true}`` goes back to the defaults before the other values are set. Raises ValueError
    for an unknown name or a value the setting does not have.
    """
    wanted = dict(values)
    base = Settings() if wanted.pop("reset", False) else Settings(**asdict(CURRENT))
    known = {field.name for field in fields(Settings)}
    for name, value in wanted.items():
        if name not in known:
            raise ValueError(f"unknown setting {name!r}: there are {', '.join(sorted(known))}")
        _check(name, value)
        setattr(base, name, value)
    for name in known:
        setattr(CURRENT, name, getattr(base, name))
    return asdict(CURRENT)


def _check(name: str, value: Any) -> None:
    choices: tuple[Any, ...] = (True, False)
    if name == "trigger_order":
        choices = get_args(Order)
    elif name == "managed_login_pre_token":
        choices = get_args(Moment)
    elif name == "deliveries":
        choices = (1, 2, 3)
    # True == 1 in Python, and neither stands for the other here.
    if value not in choices or isinstance(value, bool) != isinstance(choices[0], bool):
        raise ValueError(f"{name} is one of {', '.join(map(repr, choices))}, not {value!r}")
