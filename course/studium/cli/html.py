"""``studium html``: build web pages of lessons that need no server and no network."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from studium.catalogue.catalogue import Catalogue
from studium.cli.output import print_json
from studium.errors import StudiumError
from studium.topics.profiles import VARIABLE, choose_profile
from studium.topics.topic import Topic

if TYPE_CHECKING:
    from studium.notebooks.elsewhere import Repository
    from studium.site.building import Options, WrittenSite


def html(
    ctx: typer.Context,
    slugs: Annotated[list[str] | None, typer.Argument(help="The topics; see `studium topics`.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Build all topics.")] = False,
    out: Annotated[Path, typer.Option(help="The site's folder; lessons already in it are kept.")] = Path("site"),
    profile: Annotated[str, typer.Option(help="smoke, laptop or gpu.", envvar=VARIABLE)] = "laptop",
    limit: Annotated[int, typer.Option(help="Time limit for one cell, in seconds.", min=1)] = 600,
    no_run: Annotated[bool, typer.Option("--no-run", help="Write the pages without running the lessons.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Run lessons again even if they have not changed.")] = False,
    course: Annotated[
        Path | None,
        typer.Option(help="A course folder whose repository the pages will link to on Binder, Colab and Kaggle."),
    ] = None,
    url: Annotated[
        str | None, typer.Option(help="The address at which the site will be; cards of shared links need it.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
) -> None:
    """Write lessons as a site that opens straight from disk, with text, formulas, figures and working widgets.

    A lesson is run once, and again when anything it depends on changes. Exits with code 1 if a cell failed or a topic
    could not be used; the rest of the site is written anyway.
    """
    from studium.site.building import Options

    catalogue: Catalogue = ctx.obj
    if everything == bool(slugs):
        raise typer.BadParameter("name one or more topics, or pass --all (see `studium topics`)")
    topics = [catalogue[slug] for slug in dict.fromkeys(slugs)] if slugs else catalogue.lessons
    repository = _repository(catalogue, course) if course else None
    options = Options(choose_profile(profile).name, limit, not no_run, force, repository, _address(url or ""))
    site = _build(catalogue, topics, out, options)
    (print_json if as_json else _print)(site)
    broken = [f"{p.entry_point} of {p.distribution}: {p.error}" for p in catalogue.problems] if everything else []
    for problem in [*site.all_problems, *broken]:
        typer.echo(f"problem: {problem}", err=True)
    if site.all_problems or broken:
        raise typer.Exit(1)


def _repository(catalogue: Catalogue, course: Path) -> "Repository":
    found: Repository | None = catalogue.manager.hook.studium_repository(course=course)
    if found is None:
        raise StudiumError(f"--course needs a [repository] table with a url in {course}/course.toml; add one")
    return found


def _address(url: str) -> str:
    if url and not re.fullmatch(r"https?://[^\s/?#]+[^\s?#]*", url):
        raise StudiumError(
            f"--url needs the address of the site, such as https://owner.github.io/course: got {url!r}; correct it"
        )
    return url


def _build(catalogue: Catalogue, topics: Sequence[Topic], out: Path, options: "Options") -> "WrittenSite":
    from rich.console import Console

    from studium.site.building import Site

    with Console(stderr=True).status("reading the lessons …") as status:
        return Site(catalogue, out, options, lambda state: status.update(f"running {state} …")).build(topics)


def _print(site: "WrittenSite") -> None:
    for lesson in site.lessons:
        how = f"ran in {lesson.seconds:.0f} s" if lesson.ran else "not run"
        typer.echo(f"{site.folder}/{lesson.page}: {lesson.title} ({how})")
    typer.echo(f"open {site.start}")
