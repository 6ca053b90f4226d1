"""``python -m local start``: the embedded AWS with the stack deployed, until Ctrl-C.

``python -m local demo`` is in ``local.demo``.
"""

import argparse
import secrets
import signal
import sys
import time
from collections.abc import Mapping
from importlib import import_module

from local.deployment import deploy
from local.errors import LocalAwsError
from local.server import EmbeddedAws

# Who can sign in after `start`.
PEOPLE = ("ada@example.com", "bob@example.com")


def main(arguments: list[str] | None = None) -> int:
    """Run one command and return its exit code: 1 for a failure that one line explains."""
    parser = argparse.ArgumentParser(prog="python -m local", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    starting = commands.add_parser("start", help="start, deploy and stay up")
    starting.add_argument("--port", type=int, help="TCP port on 127.0.0.1 (default: a free one)")
    starting.add_argument("--empty", action="store_true", help="do not deploy the stack")
    starting.add_argument(
        "--parameter",
        action="append",
        default=[],
        type=_parameter,
        metavar="NAME=VALUE",
        help="a parameter of the template, such as RecordLoginsDays=1; may be repeated",
    )
    commands.add_parser("demo", help="start, deploy, sign people in, show what came out")
    given = parser.parse_args(arguments)
    # The context managers end what was started: SIGTERM has to reach them as Ctrl-C does, and
    # Ctrl-C also where a shell started this in the background and so had it ignored.
    signal.signal(signal.SIGTERM, _exit)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        if given.command == "demo":
            demo = import_module("local.demo")
            return int(demo.main())
        return start(given.port, empty=given.empty, parameters=dict(given.parameter))
    except LocalAwsError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Stopped.", file=sys.stderr)
        return 130


def start(port: int | None, *, empty: bool, parameters: Mapping[str, str]) -> int:
    """Stay up until Ctrl-C or SIGTERM; exit code 1 when the server ends by itself."""
    began = time.monotonic()
    with EmbeddedAws.started(port) as aws:
        print(f"The embedded AWS answers at {aws.endpoint}.", flush=True)
        if not empty:
            outputs = deploy(aws, parameters=parameters, say=_say)
            for name, value in sorted(outputs.items()):
                print(f"  {name} = {value}")
            _make_people(aws, outputs)
        print(f"Ready after {time.monotonic() - began:.1f} s. Ctrl-C ends it.", flush=True)
        print("In another shell, to use it with `cognito-rules`, the AWS command line or an SDK:")
        print("  source .venv/bin/activate")
        for name in (
            "AWS_ENDPOINT_URL",
            "AWS_ACCESS_KEY_ID",
            "AWS_SECRET_ACCESS_KEY",
            "AWS_REGION",
        ):
            print(f"  export {name}={aws.environment[name]}")
        print(f"  export AWS_DEFAULT_REGION={aws.environment['AWS_REGION']}", flush=True)
        try:
            aws.wait()
        except KeyboardInterrupt:
            print("Stopping.", flush=True)
            return 0
        print(
            f"The embedded AWS ended by itself. Its last lines:\n{aws.log_tail()}", file=sys.stderr
        )
        return 1


def _make_people(aws: EmbeddedAws, outputs: Mapping[str, str]) -> None:
    """Make somebody to sign in; AWS forgets them with the rest when this process ends."""
    cognito = aws.client("cognito-idp")
    pool = {"UserPoolId": outputs["UserPoolId"]}
    password = f"Aa1-{secrets.token_urlsafe(12)}"
    for username in PEOPLE:
        attributes = {"email": username, "email_verified": "true"}
        cognito.admin_create_user(
            **pool,
            Username=username,
            MessageAction="SUPPRESS",
            UserAttributes=[{"Name": name, "Value": value} for name, value in attributes.items()],
        )
        cognito.admin_set_user_password(
            **pool, Username=username, Password=password, Permanent=True
        )
    print(f"{' and '.join(PEOPLE)} can sign in; the password: {password}")


def _parameter(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUE")
    return name, value


def _say(line: str) -> None:
    print(line, flush=True)


def _exit(number: int, frame: object) -> None:
    sys.exit(128 + number)


if __name__ == "__main__":
    sys.exit(main())
