"""What `make test` leaves out, chosen by markers, what is run twice, and the lines at the end that say so.

`@pytest.mark.heavy` is for what `make test-all` runs and `make test` does not. `@pytest.mark.sample(2)` makes the cases
of a test heavy but for a fixed sample of two; `pytestmark = pytest.mark.sample(5, of="browser")` does so with the tests
of a file that carry the other marker. A case that is added leaves the sample as it is, or takes the place of one.

A test in a browser that fails is run once more, because browsers and servers are late or crash on a busy machine. The
summary lists what passed at the second run only.

Tests of a module that share one of its fixtures run in one process of pytest-xdist, as those of an `xdist_group` do.
So do the topics' own tests: the libraries that they compare with take ten seconds of processor time to import.
"""

from __future__ import annotations

import sys
import zlib
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeGuard

import pytest

HEAVY_SECONDS = 1200  # the limit of a heavy test; the configuration has that of the others
_LEFT_OUT = pytest.StashKey["Counter[str]"]()


@pytest.fixture(autouse=True)
def gradients_stay_on() -> Iterator[None]:
    """Fail the test that leaves torch's gradients off, in place of a later one in the same process."""
    yield
    torch = sys.modules.get("torch")
    if torch and not torch.is_grad_enabled():
        torch.set_grad_enabled(True)
        pytest.fail("the test left torch's gradients off")


def pytest_configure(config: pytest.Config) -> None:
    """Count anew."""
    config.stash[_LEFT_OUT] = Counter()


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """Let the processes of pytest-xdist read the test modules that one of them has compiled with its assertions.

    Only here: a test that edits a module within a second would get the old bytecode.
    """
    before, sys.dont_write_bytecode = sys.dont_write_bytecode, False
    try:
        return (yield)
    finally:
        sys.dont_write_bytecode = before


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Choose the samples, before -m looks at the markers; group tests, and let those in a browser have a second run."""
    _mark_heavy(items)
    for item in filter(_is_function, items):
        if item.get_closest_marker("heavy") and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(HEAVY_SECONDS))
        if item.get_closest_marker("browser") or "chromium" in item.fixturenames:
            item.add_marker(pytest.mark.flaky(reruns=1))
        if not item.get_closest_marker("xdist_group"):
            if item.nodeid.startswith("plugins/"):
                item.add_marker(pytest.mark.xdist_group("topics"))
            elif _shares_with_its_module(item):
                item.add_marker(pytest.mark.xdist_group(item.nodeid.partition("::")[0]))


def _is_function(item: pytest.Item) -> TypeGuard[pytest.Function]:
    return isinstance(item, pytest.Function)


def _shares_with_its_module(item: pytest.Function) -> bool:
    """Whether a fixture that is made once for the module is made for it: each process would make it again."""
    used = item._fixtureinfo.name2fixturedefs.values()
    return any(definitions[-1].scope == "module" for definitions in used)


def _mark_heavy(items: list[pytest.Item]) -> None:
    """Mark as heavy what is not in its sample. What is heavy by itself is never drawn."""
    groups: defaultdict[tuple[str, int], list[pytest.Item]] = defaultdict(list)
    for item in items:
        mark = item.get_closest_marker("sample")
        other = mark and mark.kwargs.get("of")
        if mark and not item.get_closest_marker("heavy") and (not other or item.get_closest_marker(other)):
            groups[item.nodeid.partition("::" if other else "[")[0], mark.args[0]].append(item)
    for (_, size), members in groups.items():
        for item in sorted(members, key=lambda item: zlib.crc32(item.name.encode()))[size:]:
            item.add_marker("heavy")


def pytest_deselected(items: list[pytest.Item]) -> None:
    """Count the heavy tests that are left out, by folder."""
    for item in items:
        if item.get_closest_marker("heavy"):
            item.config.stash[_LEFT_OUT][_folder(item)] += 1


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Hand a worker's counts to the process that prints."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["left_out"] = dict(session.config.stash[_LEFT_OUT])


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Take a worker's counts: each worker of pytest-xdist collects all tests, so that one tells for all."""
    node.config.stash[_LEFT_OUT] |= Counter(getattr(node, "workeroutput", {}).get("left_out", {}))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say what was left out: heavy tests, and those that skipped themselves."""
    left_out, skipped = config.stash[_LEFT_OUT], len(terminalreporter.stats.get("skipped", ()))
    if left_out:
        terminalreporter.write_line(f"left out: {left_out.total()} heavy tests, which `make test-all` runs")
    for folder, number in left_out.most_common():
        terminalreporter.write_line(f"{number:6}  {folder}")
    if skipped:
        terminalreporter.write_line(f"left out: {skipped} tests that cannot run here, each with its reason above")
    if not left_out and not skipped:
        terminalreporter.write_line("left out: nothing")
    passed = {report.nodeid for report in terminalreporter.stats.get("passed", ())}
    again = sorted({report.nodeid for report in terminalreporter.stats.get("rerun", ())} & passed)
    for name in again:
        terminalreporter.write_line(f"passed at the second run only: {name}")


def _folder(item: pytest.Item) -> str:
    parts = Path(item.location[0]).parent.parts
    return "/".join(parts[:3] if parts[:1] == ("plugins",) else parts[:2]) or "."
