"""The pytest plugin `studium-topic`: the checks of a topic as tests, one for each, for the author's own CI.

    pytest --studium-topic .            # the topic in this folder, beside the tests that are there
    pytest --studium-topic my-topic     # an installed topic

The checks run in a process of their own when the first of these tests does.
"""

import subprocess
import sys
from collections.abc import Iterator
from functools import cached_property
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from studium.authoring.findings import Report


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the command line options."""
    group = parser.getgroup("studium", "Studium topics")
    group.addoption(
        "--studium-topic",
        action="append",
        default=[],
        metavar="SLUG|PATH",
        help="Check this topic, installed or in a folder, with one test for each check. Can be repeated.",
    )
    group.addoption("--studium-strict", action="store_true", help="Count advice as problems.")
    group.addoption("--studium-profile", default="smoke", metavar="PROFILE", help="smoke, laptop or gpu.")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(session: pytest.Session, config: pytest.Config, items: list[pytest.Item]) -> None:
    """Add the tests of the requested topics; -k and -m select among them as usual."""
    for target in config.getoption("studium_topic"):
        options = {"profile": config.getoption("studium_profile"), "strict": config.getoption("studium_strict")}
        topic = TopicChecks.from_parent(session, name=target, nodeid=target, **options)
        items.extend(topic.collect())


class CheckFailedError(Exception):
    """A check of a topic found problems."""


class TopicChecks(pytest.Collector):
    """The checks of one topic, which all run together, once."""

    def __init__(self, *, profile: str, strict: bool, **options: Any) -> None:
        super().__init__(**options)
        self.profile, self.strict = profile, strict

    def collect(self) -> Iterator[pytest.Item]:
        """Return a test for each check; if the topic cannot be loaded, a single test that says so."""
        for name in self._names():
            yield CheckItem.from_parent(self, name=name)

    @cached_property
    def report(self) -> "Report":
        """The report of all checks."""
        import msgspec

        from studium.authoring.findings import Report

        words = ["topic", "check", self.name, "--json", "--profile", self.profile, *(["--strict"] * self.strict)]
        command = [sys.executable, "-m", "studium", *words]
        done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", check=False)
        if not done.stdout:
            raise CheckFailedError(done.stderr.strip())
        return msgspec.json.decode(done.stdout, type=Report)

    def _names(self) -> list[str]:
        from studium.authoring.runner import checks_of
        from studium.authoring.subject import open_subject
        from studium.errors import StudiumError, UsageError
        from studium.topics.profiles import choose_profile

        try:
            with open_subject(self.name, choose_profile(self.profile)) as subject:
                return [check.name for check in checks_of(subject)]
        except UsageError as error:
            raise pytest.UsageError(str(error)) from None
        except StudiumError:
            return ["imports"]


class CheckItem(pytest.Item):
    """One check."""

    parent: TopicChecks

    def runtest(self) -> None:
        """Fail with what the check found; skip if a check it depends on failed."""
        report = self.parent.report
        result = next((check for check in report.checks if check.name == self.name), None)
        if result is None:
            pytest.skip("skipped because a check it depends on fails")
        if not result.passed:
            survivors = [f"{s.exercise}, line {s.line}:\n{s.change}" for s in report.mutants.survivors]
            raise CheckFailedError("\n".join([result.detail, *(survivors if self.name == "mutants" else [])]))

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """Return the sentences of the check, without a traceback."""
        if isinstance(excinfo.value, CheckFailedError):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Any, int | None, str]:
        """Return the heading shown above a failure."""
        return self.path, None, f"{self.parent.name}: {self.name}"
