"""``cognito-rules``: what a rule's author and an operator do from a terminal."""

import typer

from cli.attach import attach, detach
from cli.captures import captures
from cli.chain import chain
from cli.credentials import credentials
from cli.denylist import denylist, revoke
from cli.doctor import doctor
from cli.forget import forget
from cli.ledger import list_ledger
from cli.login import login
from cli.new import new_rule
from cli.redeliver import redeliver
from cli.redrive import redrive
from cli.replay import replay_logins
from cli.rules import list_rules, try_rule
from cli.tokens import tokens
from cli.trace import trace

app = typer.Typer(
    name="cognito-rules",
    help="Login rules for Amazon Cognito.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


@app.callback()
def main() -> None:
    """Login rules for Amazon Cognito."""


app.command("rules")(list_rules)
app.command("try")(try_rule)
app.command("new")(new_rule)
app.command("captures")(captures)
app.command("trace")(trace)
app.command("replay")(replay_logins)
app.command("ledger")(list_ledger)
app.command("revoke")(revoke)
app.command("forget")(forget)
app.command("redrive")(redrive)
app.command("redeliver")(redeliver)
app.add_typer(chain, name="chain")
app.add_typer(denylist, name="denylist")
app.command("attach")(attach)
app.command("detach")(detach)
app.command("doctor")(doctor)
app.command("login")(login)
app.command("credentials")(credentials)
app.command("tokens")(tokens)
