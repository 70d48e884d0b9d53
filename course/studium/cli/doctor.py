"""``studium doctor``: examine the installation and explain how to fix what is missing."""

from typing import Annotated

import typer

from studium.catalogue.catalogue import Catalogue
from studium.cli.output import print_json, print_table


def doctor(
    ctx: typer.Context,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
) -> None:
    """Examine Python, torch, CUDA, Jupyter, memory and plugins, and explain how to fix any problems.

    Exits with code 1 if there is a problem.
    """
    from studium.cli.diagnosis import diagnose

    catalogue: Catalogue = ctx.obj
    findings = diagnose(catalogue)
    if as_json:
        print_json({"findings": findings})
    else:
        print_table(("", "what", "found"), [("ok" if f.fine else "!!", f.what, f.found) for f in findings])
    if not all(finding.fine for finding in findings):
        raise typer.Exit(1)
