"""``studium topic``: check, watch and update a topic; ``studium new topic``: start one."""

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from studium.cli.output import print_json
from studium.errors import StudiumError, UsageError

if TYPE_CHECKING:
    from studium.authoring.findings import CheckResult, Report, Survivor
    from studium.authoring.preview import Preview
    from studium.authoring.watch_process import Told
    from studium.authoring.watching import Watcher
    from studium.topics.profiles import Profile

app = typer.Typer(help="Check, watch and update a topic that you are writing.", no_args_is_help=True)
TARGET = typer.Argument(help="The topic's slug, or its folder, installed or not.")


@app.command()
def check(
    target: Annotated[str, TARGET],
    profile: Annotated[
        str, typer.Option(help="The size at which the lesson and its claims are run: smoke, laptop or gpu.")
    ] = "smoke",
    only: Annotated[
        list[str] | None, typer.Option(help="Run only this check and those it depends on; can be repeated.")
    ] = None,
    jobs: Annotated[int, typer.Option(help="How many checks to run at the same time.", min=1)] = 2,
    strict: Annotated[bool, typer.Option("--strict", help="Let advice fail a check too.")] = False,
    publish: Annotated[
        bool,
        typer.Option(
            "--publish",
            help="Also run everything that must pass before publishing: laptop, ten seeds, wheel, assignment.",
        ),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
) -> None:
    """Check a topic, and show the mutants of its solutions that no test notices.

    A problem misleads learners or breaks the lesson, and fails a check. Advice is about the lesson's form, and fails a
    check only with --strict; --only shows it in full. With --publish, the command also runs the lesson at laptop, runs
    the claims on ten seeds, installs the wheel in a fresh environment, and builds and grades an assignment; this takes
    a long time. Exits with code 1 if a check fails. Nothing is written into the topic.
    """
    from studium.topics.profiles import choose_profile

    size = "laptop" if publish and profile == "smoke" else profile
    asked = _Asked(target, choose_profile(size), only or [], jobs, strict, publish)
    report = _checked(asked, quiet=as_json)
    if as_json:
        print_json(report)
    else:
        if only:
            _print_worth(report)
        _print_end(report)
    if not report.passed:
        raise typer.Exit(1)


@app.command()
def watch(
    target: Annotated[str, TARGET],
    profile: Annotated[
        str, typer.Option(help="The size at which the lesson and its claims are run: smoke, laptop or gpu.")
    ] = "smoke",
    port: Annotated[int, typer.Option(help="The port of the preview on localhost; 0 picks a free one.")] = 0,
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Do not open the preview in a browser.")] = False,
) -> None:
    """Build and check a topic again each time you save, with the lesson in your browser.

    Slow checks, such as mutants and running the lesson, come last, and start again when you save.
    """
    from watchfiles import watch as saves

    from studium.authoring.findings import CheckResult
    from studium.authoring.preview import Preview
    from studium.authoring.watching import Watcher

    folder = _folder_of(target)
    preview = Preview(port)
    typer.echo(f"preview at {preview.address}; stop with Ctrl-C")
    if not no_browser:
        typer.launch(preview.address)
    shown: dict[str, CheckResult] = {}
    watcher = Watcher(target, folder, profile, lambda told: _show(told, watcher, preview, shown))
    try:
        for changes in saves(folder):
            files = {Path(name) for _, name in changes}
            if watcher.changed(files):
                typer.echo(f"\n{', '.join(sorted(file.name for file in files))} saved; checking")
    except KeyboardInterrupt:  # how it is meant to end
        typer.echo()
    finally:
        watcher.close()
        preview.close()


def _folder_of(target: str) -> Path:
    from studium.authoring.subject import open_subject
    from studium.topics.profiles import choose_profile

    with open_subject(target, choose_profile("smoke")) as subject:
        return subject.folder


def _show(told: "Told", watcher: "Watcher", preview: "Preview", shown: "dict[str, CheckResult]") -> None:
    """Show a new page, and the results that differ from those in ``shown``."""
    if told.page:
        preview.show(told.page)
    if told.result:
        preview.tell(watcher.results.values())
        if shown.get(told.result.name) != told.result:
            _print(told.result)
        shown[told.result.name] = told.result
    for survivor in told.mutants.survivors if told.mutants else ():
        typer.echo(f"\n{_titled(survivor)}")
    if told.over:
        failed = [name for name, result in watcher.results.items() if not result.passed]
        typer.echo(f"\n{', '.join(failed)} failed; waiting" if failed else "\nall checks pass; waiting")


@app.command()
def update(
    folder: Annotated[Path, typer.Argument(help="The folder of a topic created by `studium new topic`.")] = Path(),
) -> None:
    """Bring improvements to the template into a topic created from an older version.

    Your changes stay. Commit the folder to git first, so you can look at the difference.
    """
    from studium.authoring.template import update_topic

    typer.echo(
        f"{folder} is now at version {update_topic(folder.resolve())} of the template; `git diff` shows the changes"
    )


def new_topic(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(help="The topic's slug: lowercase words joined by hyphens.")],
    title: Annotated[str, typer.Option(help="Its title; by default made from the slug.")] = "",
    track: Annotated[str, typer.Option(help="The track it belongs to.")] = "My topics",
    folder: Annotated[Path, typer.Option("--dir", help="The folder to create it in.")] = Path(),
    here: Annotated[
        bool, typer.Option("--here", help="Create only a package, inside the distribution that --dir is in.")
    ] = False,
) -> None:
    """Create a topic that passes every check, packaged as its own distribution."""
    from studium.authoring.template import NewTopic, make_topic

    if any(topic.slug == name for topic in ctx.obj.lessons):
        raise UsageError(f"a new topic needs a slug that no installed topic has: got {name!r}; choose another")
    heading = title or name.replace("-", " ").capitalize()
    made = make_topic(NewTopic(name, heading, track, folder, here))
    typer.echo(f"made {made}; next: pip install --editable {'.' if here else made}, then studium topic check {name}")


@dataclass(frozen=True)
class _Asked:
    """The arguments for one run of the checks."""

    target: str
    profile: "Profile"
    only: list[str]
    jobs: int
    strict: bool
    publish: bool


def _checked(asked: _Asked, *, quiet: bool) -> "Report":
    from studium.authoring.findings import CheckResult, Report
    from studium.authoring.runner import check_topic
    from studium.authoring.subject import open_subject

    def tell(result: CheckResult) -> None:
        if not quiet:
            _print(result, whole=bool(asked.only))

    try:
        with open_subject(asked.target, asked.profile, publish=asked.publish) as subject:
            return check_topic(subject, only=asked.only, jobs=asked.jobs, strict=asked.strict, tell=tell)
    except UsageError:
        raise
    except StudiumError as error:
        result = CheckResult("imports", False, str(error))
        tell(result)
        return Report(asked.target, False, [result])


def _print(result: "CheckResult", *, whole: bool = False) -> None:
    """Print a result, with all its advice if ``whole``, otherwise only how much there is."""
    mark, lines = "✓" if result.passed else "✗", result.detail.splitlines()
    typer.echo(f"{mark} {result.name}: {lines[0] if lines else ''}")
    for line in lines[1:]:
        typer.echo(f"  {' ' * len(result.name)}  {line}")
    advice = result.advice.splitlines()
    if advice and not whole:
        typer.echo(f"  {len(advice)} pieces of advice; --only {shlex.quote(result.name)} shows them")
    for line in advice if whole else ():
        typer.echo(f"  · {line}")


def _print_end(report: "Report") -> None:
    for survivor in report.mutants.survivors:
        typer.echo(f"\n{_titled(survivor)}")
    failed = [result.name for result in report.checks if not result.passed]
    if report.waiting:
        typer.echo(
            f"\n{len(report.waiting)} checks were left out because of {' and '.join(failed)}: "
            f"{', '.join(report.waiting)}"
        )
    if failed:
        typer.echo(f"\n{report.topic}: {len(failed)} of {len(report.checks)} checks fail: {', '.join(failed)}")
    else:
        typer.echo(f"\n{report.topic}: all {len(report.checks)} checks pass")


def _print_worth(report: "Report") -> None:
    """Print what each hidden test contributes."""
    if report.mutants.worth:
        typer.echo("\nwrong answers that each hidden test catches, and how many of them no other test catches:")
    for worth in report.mutants.worth:
        typer.echo(f"  {worth.exercise}: {worth.fails} of {worth.total}, {len(worth.alone)} alone: {worth.test}")


def _titled(survivor: "Survivor") -> str:
    return (
        f"no test notices this change of {survivor.exercise}, {survivor.file} line {survivor.line}:\n{survivor.change}"
    )
