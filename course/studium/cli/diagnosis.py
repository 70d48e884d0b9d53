"""Findings about a machine: what is there, whether it is enough, and what to do if not."""

import platform
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version

from studium import __version__
from studium.catalogue.catalogue import NO_TOPICS, Catalogue
from studium.catalogue.findings import Finding
from studium.errors import StudiumError
from studium.topics.profiles import LAPTOP_MB, available_mb, choose_profile

_PACKAGES = ("jupyterlab", "notebook", "ipywidgets", "anywidget", "plotly", "jupytext", "nbgrader")
_OPTIONAL = {"nbgrader": "only instructors need it: pip install 'studium[grade]'"}


def diagnose(catalogue: Catalogue) -> list[Finding]:
    """Examine everything that Studium depends on."""
    return [
        Finding("studium", __version__),
        Finding("python", f"{platform.python_version()} on {platform.system()} {platform.machine()}"),
        *_torch(),
        *map(_package, _PACKAGES),
        _memory(),
        Finding("profile", f"{choose_profile().name} (set STUDIUM_PROFILE to smoke, laptop or gpu to choose another)"),
        Finding("topics", ", ".join(topic.slug for topic in catalogue.topics) or NO_TOPICS, bool(catalogue.topics)),
        *_operator(),
        *_of_plugins(catalogue),
        *(Finding(f"plugin {p.entry_point}", f"{p.error} ({p.distribution})", fine=False) for p in catalogue.problems),
    ]


def _operator() -> Iterator[Finding]:
    """Report which defaults an operator has set, or why their file cannot be used; nothing without a file."""
    from studium.desk.operator_defaults import place, read_defaults

    if (path := place()) is None:
        return
    try:
        yield Finding("defaults", f"{path}; locked: {', '.join(read_defaults().locked) or 'nothing'}")
    except StudiumError as error:
        yield Finding("defaults", str(error), fine=False)


def _of_plugins(catalogue: Catalogue) -> Iterator[Finding]:
    """Ask the plugins one by one, so a failing one does not hide the others."""
    manager = catalogue.manager
    for name, plugin in manager.list_name_plugin():
        others = [other for other in manager.get_plugins() if other is not plugin]
        try:
            for findings in manager.subset_hook_caller("studium_findings", others)():
                yield from findings
        except Exception as error:
            yield Finding(f"plugin {name}", f"{type(error).__name__}: {error}", fine=False)


def _torch() -> Iterator[Finding]:
    try:
        import torch
    except ModuleNotFoundError:
        yield Finding("torch", "not installed; our own topics need it: pip install 'studium[topics]'")
        return
    except Exception as error:
        yield Finding("torch", f"does not import: {error}; install it again: pip install torch", fine=False)
        return
    yield Finding("torch", f"{torch.__version__}, {torch.get_num_threads()} threads")
    if torch.cuda.is_available():
        yield Finding("cuda", f"{torch.version.cuda}, {torch.cuda.get_device_name()}")
    else:
        yield Finding("cuda", "none; lessons run on the CPU")


def _package(name: str) -> Finding:
    try:
        return Finding(name, version(name))
    except PackageNotFoundError:
        why = _OPTIONAL.get(name, f"missing; install it: {sys.executable} -m pip install {name}")
        return Finding(name, f"not installed; {why}" if name in _OPTIONAL else why, fine=name in _OPTIONAL)


def _memory() -> Finding:
    free = available_mb()
    enough = free >= LAPTOP_MB
    return Finding(
        "memory", f"{free} MB free{'' if enough else f'; the experiments need {LAPTOP_MB} MB: close something'}", enough
    )
