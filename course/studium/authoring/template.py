"""Start a topic from the template, and bring an older one up to the newest version of it.

All versions of the template are shipped as folders. For copier they become a git repository with a tag for each,
because that is what it compares when it updates. A topic remembers the template by an address that is the same on every
machine.
"""

import contextlib
import keyword
import os
import re
import shutil
import subprocess
import tempfile
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from unittest import mock

from studium.catalogue.plugins import GROUP
from studium.errors import StudiumError, TopicError, UsageError

TEMPLATES = Path(__file__).parent / "templates"
ADDRESS = "studium:topic-template.git"
ANSWERS = ".copier-answers.yml"
_SLUG = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_PACKAGES = re.compile(r"^\[tool\.hatch\.build\.targets\.wheel\]$[^\[]*^packages\s*=\s*\[", re.MULTILINE)
_AUTHOR = {"NAME": "Studium", "EMAIL": "studium@localhost", "DATE": "2026-01-01T00:00:00Z"}


@dataclass(frozen=True)
class NewTopic:
    """What to create: the slug, title and track, and the folder; ``inside`` if it joins an existing distribution."""

    slug: str
    title: str
    track: str
    folder: Path
    inside: bool


def make_topic(new: NewTopic) -> Path:
    """Create the topic's folder, which must not exist yet, and return it.

    Inside a distribution, add the entry point to its pyproject.toml. Raise UsageError for a bad slug or folder.
    """
    _require_copier()
    if not _SLUG.fullmatch(new.slug):
        raise UsageError(f"a slug is lowercase words joined by hyphens: got {new.slug!r}; change it")
    name = new.slug.replace("-", "_")
    if keyword.iskeyword(name):
        raise UsageError(f"a slug must not be a Python keyword: got {new.slug!r}; change it")
    target = new.folder / (name if new.inside else f"studium-topic-{new.slug}")
    if target.exists():
        raise UsageError(f"a new topic needs a new folder: {target} exists already; choose another name")
    package = f"{_prefix(new.folder)}{name}" if new.inside else f"studium_topic_{name}"
    pyproject = _pyproject_above(new.folder) if new.inside else None
    answers = {"slug": new.slug, "title": new.title, "track": new.track, "inside": new.inside, "package": package}
    _render(new.folder if new.inside else target, answers)
    if pyproject:
        _add_entry_point(pyproject, new.slug, package)
        _add_to_wheel(pyproject, target)
    return target


def update_topic(folder: Path) -> str:
    """Carry the improvements of the template into a topic, and return its new version.

    The author's changes stay; if both changed a line, both versions are left between conflict markers. Raise TopicError
    if the folder was not created from the template, or is not committed.
    """
    _require_copier()
    from copier import run_update
    from copier.errors import CopierError

    if not (folder / ANSWERS).is_file():
        raise TopicError(f"an update needs {ANSWERS}, which `studium new topic` writes: {folder} does not have it")
    inside = not (folder / "pyproject.toml").is_file()
    with _repository():
        try:
            run_update(
                folder.parent if inside else folder,
                answers_file=f"{folder.name}/{ANSWERS}" if inside else ANSWERS,
                defaults=True,
                overwrite=True,
                quiet=True,
            )
        except CopierError as error:
            raise TopicError(f"{folder} could not be updated: {str(error).rstrip('.')}; nothing was changed") from error
    return newest_version()


def versions() -> list[str]:
    """Return the versions of the template, oldest first."""
    found = [path.name for path in TEMPLATES.iterdir() if (path / "copier.yml").is_file()]
    return sorted(found, key=lambda version: [int(part) for part in version.split(".")])


def newest_version() -> str:
    """Return the version from which new topics are created."""
    return versions()[-1]


def _require_copier() -> None:
    for name, found in (("copier", find_spec("copier")), ("git", shutil.which("git"))):
        if not found:
            raise StudiumError(
                f"the template needs {name}, which is not installed; pip install 'studium[author]', and git"
            )


def _render(target: Path, answers: dict[str, object]) -> None:
    from copier import run_copy

    with _repository():
        run_copy(ADDRESS, target, data=answers, defaults=True, quiet=True, overwrite=True)


@contextlib.contextmanager
def _repository() -> Iterator[None]:
    """Create the repository of all versions, and let the git that copier runs find it at ADDRESS."""
    from plumbum import local  # copier's way of running git

    with tempfile.TemporaryDirectory(prefix="studium-") as made:
        repository = Path(made) / "template"
        _git("init", "--quiet", str(repository), folder=Path(made))
        for version in versions():
            for path in repository.iterdir():
                if path.name != ".git":
                    shutil.rmtree(path) if path.is_dir() else path.unlink()
            shutil.copytree(TEMPLATES / version, repository, dirs_exist_ok=True)
            _git("add", "--all", "--force", folder=repository)
            _git("commit", "--quiet", "--message", version, folder=repository)
            _git("tag", version, folder=repository)
        # Without its own cache, copier may take what another process has put at ADDRESS.
        with mock.patch.dict(os.environ, COPIER_CACHE_DIR=made), local.env(**_found_at(repository)):
            yield


def _git(*arguments: str, folder: Path) -> None:
    who = {f"GIT_{role}_{key}": value for role in ("AUTHOR", "COMMITTER") for key, value in _AUTHOR.items()}
    options = ["-c", "core.autocrlf=false", "-c", "commit.gpgsign=false", "-c", "core.hooksPath="]
    done = subprocess.run(
        ["git", *options, *arguments], cwd=folder, env=os.environ | who, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise StudiumError(f"the template needs git, which reports: {done.stderr.strip() or done.returncode}")


def _found_at(repository: Path) -> dict[str, str]:
    number = int(os.environ.get("GIT_CONFIG_COUNT", "0"))
    return {
        "GIT_CONFIG_COUNT": str(number + 1),
        f"GIT_CONFIG_KEY_{number}": f"url.{repository}.insteadOf",
        f"GIT_CONFIG_VALUE_{number}": ADDRESS,
    }


def _prefix(folder: Path) -> str:
    """Return the import name of a folder with a dot after it, or "" if it is not a package."""
    names: list[str] = []
    folder = folder.resolve()
    while (folder / "__init__.py").is_file():
        names.insert(0, folder.name)
        folder = folder.parent
    return "".join(f"{name}." for name in names)


def _pyproject_above(folder: Path) -> Path:
    for above in (folder.resolve(), *folder.resolve().parents):
        if (above / "pyproject.toml").is_file():
            return above / "pyproject.toml"
    raise UsageError(
        f"--here needs a distribution to join, but there is no pyproject.toml in or above {folder}; leave it out"
    )


def _add_entry_point(pyproject: Path, slug: str, package: str) -> None:
    """Write the entry point into the table of the others, or into a new table at the end."""
    text = pyproject.read_text("utf-8")
    header, line = f"[project.entry-points.{GROUP}]\n", f'{slug} = "{package}"\n'
    changed = text.replace(header, header + line, 1) if header in text else f"{text.rstrip()}\n\n{header}{line}"
    tomllib.loads(changed)
    pyproject.write_text(changed, "utf-8")


def _add_to_wheel(pyproject: Path, topic: Path) -> None:
    """Add the topic's package to hatchling's list of a wheel's packages, if there is such a list without it."""
    text = pyproject.read_text("utf-8")
    settings = tomllib.loads(text)
    for key in ("tool", "hatch", "build", "targets", "wheel", "packages"):
        settings = settings.get(key, {})
    own, root = topic.resolve(), pyproject.parent.resolve()
    if not settings or any(own.is_relative_to(root / package) for package in settings):
        return
    if not (found := _PACKAGES.search(text)):
        return
    changed = f'{text[: found.end()]}"{own.relative_to(root).as_posix()}", {text[found.end() :]}'
    tomllib.loads(changed)
    pyproject.write_text(changed, "utf-8")
