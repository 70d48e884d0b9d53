"""The catalogue: every topic from installed packages, in reading order, and the problems found."""

import graphlib
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import pluggy

from studium.catalogue.plugins import Plugins, Problem, load_plugins
from studium.errors import StudiumError, UnknownNameError
from studium.topics.topic import Topic

NO_TOPICS = "none are installed; install a topic, or all of ours: pip install 'studium[topics]'"


@dataclass(frozen=True)
class Entry:
    """A topic, and the entry point and distribution it came from."""

    topic: Topic
    entry_point: str
    distribution: str
    version: str


@dataclass(frozen=True)
class Catalogue:
    """The topics in reading order, the problems, and the plugin manager that both came from."""

    entries: tuple[Entry, ...]
    problems: tuple[Problem, ...]
    manager: pluggy.PluginManager

    @property
    def topics(self) -> tuple[Topic, ...]:
        """The topics by track, order and slug, without openers; a track comes where its first topic does."""
        return tuple(entry.topic for entry in self.entries if not entry.topic.opener)

    @property
    def opener(self) -> Topic | None:
        """The lesson before all topics, the first if there are several; None if there is none."""
        return next((entry.topic for entry in self.entries if entry.topic.opener), None)

    @property
    def lessons(self) -> tuple[Topic, ...]:
        """The opener, if there is one, and the topics."""
        return (*([self.opener] if self.opener else []), *self.topics)

    def __getitem__(self, slug: str) -> Topic:
        """Return the topic called ``slug``; raise with the nearest slug, or with the problem that keeps it from
        loading.
        """
        for entry in self.entries:
            if entry.topic.slug == slug:
                return entry.topic
        for problem in self.problems:
            if slug in (problem.entry_point, problem.slug):
                raise StudiumError(f"topic {slug} cannot be used: {problem.error}")
        raise UnknownNameError("topic", slug, (topic.slug for topic in self.topics))


def load_catalogue() -> Catalogue:
    """Load all plugins afresh and collect their topics. An error in a plugin becomes a problem and is not raised."""
    plugins = load_plugins()
    problems = list(plugins.problems)
    entries: list[Entry] = []
    for item in _collect(plugins):
        (problems if isinstance(item, Problem) else entries).append(item)  # type: ignore[arg-type]
    clashes = list(_clashes(entries))
    problems += [*clashes, *_cycles(entries)]
    clashing = {problem.slug for problem in clashes}
    kept = [entry for entry in entries if entry.topic.slug not in clashing]
    return Catalogue(tuple(_in_reading_order(kept)), tuple(problems), plugins.manager)


def _collect(plugins: Plugins) -> Iterator[Entry | Problem]:
    for loaded in plugins.loaded:
        where = loaded.entry_point, loaded.distribution
        try:
            topics = plugins.topics_of(loaded)
        except Exception as error:
            yield Problem(*where, f"its studium_topics hook failed: {type(error).__name__}: {error}")
            continue
        for topic in topics:
            if isinstance(topic, Topic):
                yield Entry(topic, *where, loaded.version)
            else:
                yield Problem(*where, f"studium_topics must return Topic objects: got {type(topic).__name__}")


def _clashes(entries: Iterable[Entry]) -> Iterator[Problem]:
    owners: defaultdict[str, list[Entry]] = defaultdict(list)
    for entry in entries:
        owners[entry.topic.slug].append(entry)
    for slug, claimants in owners.items():
        if len(claimants) > 1:
            names = " and ".join(sorted(entry.distribution for entry in claimants))
            error = (
                f"the slug {slug!r} must belong to one distribution: {names} both have it; uninstall one, or give "
                "yours another slug"
            )
            yield from (Problem(e.entry_point, e.distribution, error, slug, clash=True) for e in claimants)


def _cycles(entries: Iterable[Entry]) -> Iterator[Problem]:
    graph = {entry.topic.slug: entry.topic.needs for entry in entries}
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        cycle: list[str] = error.args[1]
        chain = " needs ".join(reversed(cycle))
        text = f"prerequisites must not form a cycle: {chain}; remove one of them"
        yield from (
            Problem(e.entry_point, e.distribution, text, e.topic.slug) for e in entries if e.topic.slug in cycle
        )


def _in_reading_order(entries: list[Entry]) -> list[Entry]:
    first: dict[str, int] = {}
    for entry in entries:
        topic = entry.topic
        first[topic.track] = min(topic.order, first.get(topic.track, topic.order))
    return sorted(entries, key=lambda e: (first[e.topic.track], e.topic.track, e.topic.order, e.topic.slug))
