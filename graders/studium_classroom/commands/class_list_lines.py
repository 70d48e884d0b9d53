"""What ``studium roster`` prints: the list, what a new one changes, and rows that cannot be used."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import typer
from studium.cli.output import plain, print_json, print_table

if TYPE_CHECKING:
    from studium_graders.class_list.students import ListedStudent
    from studium_graders.class_list.updating import Update

_SHOWN = 20  # lines of each kind


def show_list(students: "Mapping[str, ListedStudent]", *, as_json: bool) -> None:
    """Print everybody on the list, and how many there are."""
    if as_json:
        print_json(list(students.values()))
        return
    rows = [
        (one.id, one.name, one.email, one.section, f"gone since {one.gone}" if one.gone else "")
        for one in students.values()
    ]
    if rows:
        print_table(("student", "name", "e-mail", "section", ""), rows)
    gone = sum(one.gone is not None for one in students.values())
    typer.echo(f"{_counted(len(rows) - gone)} on the class list{f', and {gone} gone' if gone else ''}")


def show_update(update: "Update", left_out: Sequence[str], *, as_json: bool) -> None:
    """Print what a new list changes."""
    if as_json:
        print_json(
            {
                "added": update.added,
                "changed": update.changed,
                "gone": update.gone,
                "back": update.back,
                "unchanged": update.unchanged,
                "left_out": left_out,
            }
        )
        return
    changed: dict[str, list[str]] = {}
    for one in update.changed:
        changed.setdefault(one.student, []).append(f"{one.field} {one.old or 'empty'} → {one.new}")
    _show("added", [_person(one) for one in update.added])
    _show("changed", [f"{student}: {', '.join(fields)}" for student, fields in changed.items()])
    _show("back, after they were gone", update.back)
    _show("gone: marked, and everything of theirs is kept", update.gone)
    _show("left out", left_out)
    if update.unchanged:
        typer.echo(f"{_counted(update.unchanged)} as before{': nothing to do' if update.is_empty else ''}")


def show_problems(problems: Sequence[str]) -> None:
    """Print the rows that cannot be used."""
    for sentence in problems[:_SHOWN]:
        typer.echo(f"studium: {plain(sentence)}", err=True)
    if len(problems) > _SHOWN:
        typer.echo(f"studium: {len(problems) - _SHOWN} more lines cannot be used either", err=True)
    typer.echo("studium: nothing was written", err=True)


def _show(title: str, lines: Sequence[str]) -> None:
    if lines:
        more = [f"and {len(lines) - _SHOWN} more (--json lists them)"] if len(lines) > _SHOWN else []
        typer.echo(f"{title} ({len(lines)}):")
        for line in [*lines[:_SHOWN], *more]:
            typer.echo(f"  {plain(line)}")


def _person(one: "ListedStudent") -> str:
    return ", ".join(filter(None, (one.id, one.name, one.email, one.section)))


def _counted(number: int) -> str:
    return f"{number} student{'' if number == 1 else 's'}"
