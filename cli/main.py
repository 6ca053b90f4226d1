"""``cognito-rules``: what a rule's author and an operator do from a terminal."""

import typer

from cli.rules import try_rule

app = typer.Typer(
    name="cognito-rules",
    help="Login rules for Amazon Cognito.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


@app.callback()
def main() -> None:
    """Login rules for Amazon Cognito."""


app.command("try")(try_rule)
