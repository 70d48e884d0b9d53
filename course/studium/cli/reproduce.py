"""``studium reproduce``: compare each paper's claim with our measurement, and give a verdict."""

import contextlib
import math
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from studium.catalogue.catalogue import Catalogue
from studium.cli.output import print_json, print_table
from studium.errors import TopicError
from studium.experiments.predictions import line_of_text
from studium.experiments.progress import track
from studium.topics.profiles import Profile, choose_profile
from studium.topics.topic import Topic

if TYPE_CHECKING:
    from studium.desk.reproducing import Run
    from studium.experiments.measuring import ClaimResult
    from studium.topics.published import BesidePaper


def reproduce(
    ctx: typer.Context,
    slugs: Annotated[list[str] | None, typer.Argument(help="The topics; see `studium topics`.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Reproduce all topics.")] = False,
    profile: Annotated[
        str | None, typer.Option(help="smoke, laptop or gpu; by default the largest this machine can run.")
    ] = None,
    device: Annotated[str | None, typer.Option(help="cpu or cuda; by default the profile's own.")] = None,
    seeds: Annotated[int, typer.Option(help="How many seeds to run, from seed 0.", min=1)] = 3,
    jobs: Annotated[int, typer.Option(help="How many experiments to run at once.", min=1)] = 1,
    resume: Annotated[bool, typer.Option("--resume", help="Continue a run that was stopped.")] = False,
    by_seed: Annotated[bool, typer.Option("--by-seed", help="Also print the figure of each seed.")] = False,
    no_guess: Annotated[bool, typer.Option("--no-guess", help="Do not ask what you expect.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
) -> None:
    """Reproduce each paper's claim in miniature and measure it.

    The figure is the worst over the seeds. If the paper published numbers for the same comparison, they are shown next
    to ours, which are means over the seeds. Exits with code 1 if a claim does not hold. With --resume, experiments
    already measured with the same code, profile, device and number of seeds are not run again.

    In a terminal, you are first asked what you expect for the first claim of each topic that you named; --no-guess
    leaves this out.
    """
    topics = choose_topics(ctx.obj, slugs or [], everything)
    asks = not (everything or as_json or no_guess) and _in_a_terminal()
    guesses = {topic.slug: guess for topic in topics if asks and (guess := _ask(topic)) is not None}
    claims, problems = _measure(ctx.obj, topics, choose_profile(profile, device), range(seeds), jobs, resume)
    if as_json:
        print_json({"claims": claims})
    else:
        _print(claims)
        _print_guesses(claims, guesses)
        for claim in claims if by_seed else ():
            typer.echo(f"{claim.topic}: {claim.claim}\n  {'  '.join(f'{value:.4g}' for value in claim.by_seed)}")
    for problem in problems:
        typer.echo(f"problem: {problem}", err=True)
    if problems or any(claim.holds is False for claim in claims):
        raise typer.Exit(1)


def choose_topics(catalogue: Catalogue, slugs: list[str], everything: bool) -> list[Topic]:
    """Return the named topics, or every topic that has an experiment."""
    if everything == bool(slugs):
        raise typer.BadParameter("name one or more topics, or pass --all (see `studium topics`)")
    return (
        [topic for topic in catalogue.topics if topic.has("experiment")]
        if everything
        else [catalogue[s] for s in slugs]
    )


def _measure(
    catalogue: Catalogue, topics: list[Topic], profile: Profile, seeds: range, jobs: int, resume: bool
) -> "tuple[list[ClaimResult], list[str]]":
    """Return the results of all claims, and the reason why any experiment could not be measured."""
    from studium.desk.reproducing import measure, runs_of

    claims: list[ClaimResult] = []
    problems: list[str] = []
    runs: list[Run] = []
    for topic in topics:
        try:
            runs += runs_of(catalogue, topic, profile, seeds)
        except TopicError as error:
            problems.append(str(error))
    for found in track(measure(runs, jobs=jobs, resume=resume), "reproducing", total=len(runs)):
        if isinstance(found, TopicError):
            problems.append(str(found))
        else:
            claims += found
    return claims, problems


def _ask(topic: Topic) -> float | None:
    """Return what somebody expects for the first claim of a topic, None where nothing was guessed."""
    claim = None
    with contextlib.suppress(TopicError):  # the run says why
        claim = next(iter(topic.claims), None)
    if claim is None:
        return None
    bound = "at most" if claim.at_least is None else "at least"
    typer.echo(f"{topic.slug}: {claim.text} (the claim needs {bound} {claim.threshold:g})")
    while answer := typer.prompt(
        "What do you expect us to measure? A number, or Enter for no guess", "", show_default=False
    ):
        with contextlib.suppress(ValueError):
            if math.isfinite(guess := float(answer)):
                return guess
        typer.echo(f"a guess is one number, such as 3 or 0.5: got {answer!r}")
    return None


def _in_a_terminal() -> bool:
    return sys.stdin.isatty() and sys.stdout.isatty()


def _print_guesses(claims: "Sequence[ClaimResult]", guesses: dict[str, float]) -> None:
    """Print each guess and what was measured as two marks on a line."""
    for slug, guess in guesses.items():
        measured = next((claim.measured for claim in claims if claim.topic == slug), math.nan)
        if math.isfinite(measured):
            typer.echo(f"\n{slug}\n{line_of_text(guess, measured)}")


def _print(claims: "Sequence[ClaimResult]") -> None:
    words = {True: "holds", False: "does not hold", None: "too small to judge"}
    rows = [
        (
            c.topic,
            c.claim,
            f"{c.measured:.4g}",
            f"{c.threshold:.4g}",
            words[c.holds],
            f"{c.seconds:.0f} s",
            f"{c.peak_mb:.0f} MB",
        )
        for c in claims
    ]
    print_table(("topic", "claim", "measured", "threshold", "verdict", "time", "memory"), rows)
    for claim in claims:
        if claim.published:
            _print_beside(claim.topic, claim.published)


def _print_beside(topic: str, found: "BesidePaper") -> None:
    """Print our numbers, which are means over the seeds, next to those the paper published."""
    from studium.experiments.published_panels import rows

    typer.echo()
    print_table((topic, found.our_unit, found.unit, "source"), [(*row, found.source) for row in rows(found)])
    typer.echo(found.seen)
