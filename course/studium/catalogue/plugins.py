"""Find and load plugins. A plugin that cannot be used becomes a Problem and does not affect the others."""

import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint, distributions
from typing import TYPE_CHECKING

import pluggy

from studium.catalogue import hookspecs, host_plugin

if TYPE_CHECKING:
    from studium.topics.topic import Topic

GROUP = "studium"


@dataclass(frozen=True)
class Problem:
    """What is wrong with one plugin, in one sentence; ``clash`` if two distributions claim the same thing."""

    entry_point: str
    distribution: str
    error: str
    slug: str = ""
    clash: bool = False


@dataclass(frozen=True)
class Loaded:
    """A plugin that was loaded, and where it came from."""

    plugin: object
    entry_point: str
    distribution: str
    version: str


@dataclass(frozen=True)
class Plugins:
    """The plugin manager with the host's own and all installed plugins, and whatever could not be loaded."""

    manager: pluggy.PluginManager
    loaded: list[Loaded] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    def topics_of(self, loaded: Loaded) -> "list[Topic]":
        """Ask one plugin for its topics."""
        others = [plugin for plugin in self.manager.get_plugins() if plugin is not loaded.plugin]
        return [topic for topics in self.manager.subset_hook_caller("studium_topics", others)() for topic in topics]


def builtin_plugins() -> pluggy.PluginManager:
    """Return a fresh manager with only the host's own plugins."""
    manager = pluggy.PluginManager(GROUP)
    manager.add_hookspecs(hookspecs)
    manager.register(host_plugin)
    return manager


def load_plugins() -> Plugins:
    """Return a fresh manager with the host's own and all installed plugins."""
    plugins = Plugins(builtin_plugins())
    claims: defaultdict[str, list[_Claim]] = defaultdict(list)
    for claim in _claims():
        claims[claim.entry.name].append(claim)
    for name, claimants in claims.items():
        names = " and ".join(sorted(claim.distribution for claim in claimants))
        for claim in claimants:
            if len(claimants) > 1:
                error = (
                    f"the entry point {name!r} must belong to one distribution: {names} both have it; uninstall one or "
                    "give yours another name"
                )
                plugins.problems.append(Problem(name, claim.distribution, error, name, clash=True))
            elif error := _register(plugins, claim):
                plugins.problems.append(Problem(name, claim.distribution, error))
    return plugins


@dataclass(frozen=True)
class _Claim:
    """An entry point, with the name and version of its distribution."""

    entry: EntryPoint
    distribution: str
    version: str


def _claims() -> Iterator[_Claim]:
    seen: set[str] = set()
    for distribution in distributions():
        if not (entries := distribution.entry_points.select(group=GROUP)):
            continue
        metadata = distribution.metadata  # parsed again on every access, which takes milliseconds
        # A distribution that is on the path twice counts once, at the place where imports would find it.
        if metadata["Name"] not in seen:
            seen.add(metadata["Name"])
            extras = {extra for entry in entries for extra in entry.extras}
            wanting = _wanting(extras, metadata.get_all("Requires-Dist") or [])
            yield from (
                _Claim(entry, metadata["Name"], metadata["Version"])
                for entry in entries
                if wanting.isdisjoint(entry.extras)
            )


def _wanting(extras: set[str], requirements: list[str]) -> set[str]:
    """Return the extras that were not installed: an entry point ``x = "package [extra]"`` waits for its extra."""
    extra_of = re.compile(r"([\w.-]+).*;.*\bextra == ['\"]([\w.-]+)['\"]")
    found = [match.groups() for line in requirements if extras and (match := extra_of.match(line))]
    return {extra for name, extra in found if extra in extras and next(iter(distributions(name=name)), None) is None}


def _register(plugins: Plugins, claim: _Claim) -> str:
    """Load and register one plugin; return a sentence about why this failed, or ""."""
    entry = claim.entry
    try:
        plugin = entry.load()
        plugins.manager.register(plugin, name=entry.name)
        plugins.manager.check_pending()
    except (Exception, SystemExit) as error:
        if plugins.manager.has_plugin(entry.name):
            plugins.manager.unregister(name=entry.name)
        return f"{entry.value} could not be loaded: {type(error).__name__}: {error}"
    plugins.loaded.append(Loaded(plugin, entry.name, claim.distribution, claim.version))
    return ""
