"""Refuse a cell that would get the kernel killed for lack of memory before it runs, if its need was measured."""

import ast
from typing import Any

from studium.desk.labels import Label, read_labels
from studium.desk.places import data_folder
from studium.desk.settings import read_settings
from studium.desk.store import FILE, Store
from studium.errors import StudiumError
from studium.topics.profiles import Profile, available_mb


def guard_memory(shell: Any, slug: str, profile: Profile) -> None:
    """Make a kernel's shell refuse cells of a lesson that, by their labels, need more memory than there is."""
    if not (data_folder() / FILE).is_file():
        return
    try:
        with Store() as store:
            if not read_settings(store).memory_guard:
                return
            labels = {label.cell: label for label in read_labels(store, slug, profile.name).values()}
    except StudiumError:
        return
    remove_guard(shell)
    guard = _Guard(labels, slug)
    shell.events.register("pre_run_cell", guard.note)
    shell.ast_transformers.append(guard)


def remove_guard(shell: Any) -> None:
    """Remove the guard of a lesson opened earlier in the same kernel."""
    for old in [one for one in shell.ast_transformers if isinstance(one, _Guard)]:
        shell.ast_transformers.remove(old)
        shell.events.unregister("pre_run_cell", old.note)


class _Guard(ast.NodeTransformer):
    """Tracks which cell comes next, and refuses its code. IPython asks transformers before it runs anything."""

    def __init__(self, labels: dict[str, Label], slug: str) -> None:
        self.labels, self.slug = labels, slug
        self.cell = ""

    def note(self, info: Any) -> None:
        self.cell = getattr(info, "cell_id", None) or ""

    def visit(self, node: ast.AST) -> ast.AST:
        label, self.cell = self.labels.get(self.cell), ""
        if label is not None and (why := refusal(label, self.slug)):
            from IPython.core.error import InputRejected

            print(why)  # noqa: T201  a rejected cell shows nothing by itself
            raise InputRejected(why)
        return node


def refusal(label: Label, slug: str) -> str:
    """Return why a cell must not run here now, or ""."""
    import psutil

    own = psutil.Process().memory_info().rss / 2**20
    free = available_mb()
    if label.mb - own <= free:
        return ""
    return (
        f"this cell needs about {label.mb / 1024:.1f} GB, but the kernel can only get {(own + free) / 1024:.1f} GB, so "
        f'it would be killed; close other notebooks, or open the lesson smaller: open_lesson("{slug}", "smoke")'
    )
