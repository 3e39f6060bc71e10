"""The commands, by name."""

from __future__ import annotations

from typing import Annotated

import typer

from dermassist import __version__
from dermassist.interfaces.cli.analyze import analyze
from dermassist.interfaces.cli.data import data_app
from dermassist.interfaces.cli.doctor import doctor
from dermassist.interfaces.cli.evaluate import evaluate
from dermassist.interfaces.cli.export import export
from dermassist.interfaces.cli.output import say
from dermassist.interfaces.cli.predict import predict
from dermassist.interfaces.cli.protocol import protocol
from dermassist.interfaces.cli.report import report
from dermassist.interfaces.cli.serve import serve
from dermassist.interfaces.cli.termination import ANSWERED_BY_TRAINING, ending_as_interrupted
from dermassist.interfaces.cli.train import train
from dermassist.interfaces.cli.tune import tune

app = typer.Typer(
    name="dermassist",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def _say_version(asked: bool) -> None:
    if asked:
        say(f"dermassist {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    context: typer.Context,
    *,
    _version: Annotated[
        bool,
        typer.Option(
            "--version",
            callback=_say_version,
            is_eager=True,
            help="Show the program's version; doctor shows the model's too.",
        ),
    ] = False,
) -> None:
    """Names the likeliest of seven diagnoses in a dermatoscopic image, and shows the evidence.

    For research and education. Its answer is not a diagnosis.
    """
    if context.invoked_subcommand not in ANSWERED_BY_TRAINING:
        context.with_resource(ending_as_interrupted())


app.command()(analyze)
app.command()(predict)
app.command()(report)
app.command()(train)
app.command()(tune)
app.command()(evaluate)
app.command()(protocol)
app.command()(export)
app.command("app")(serve)
app.command()(doctor)
app.add_typer(data_app, name="data")
