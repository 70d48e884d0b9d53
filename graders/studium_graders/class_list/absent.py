"""How many students of a class handed in nothing for an assignment, and who they are."""

import msgspec

_SHOWN = 10  # names in a line


class Absent(msgspec.Struct, frozen=True):
    """``count`` students ``of`` a class handed in nothing; those who are gone are not counted.

    ``students`` has their ids, unless they are not to be shown.
    """

    count: int = 0
    of: int = 0
    students: tuple[str, ...] = ()

    @property
    def line(self) -> str:
        """A line with the first names, or "" if everybody handed in."""
        if not self.count:
            return ""
        more = f" and {self.count - _SHOWN} more" if self.count > _SHOWN else ""
        names = f" ({', '.join(self.students[:_SHOWN])}{more})" if self.students else ""
        return f"handed in nothing: {self.count} of {self.of} students{names}"

    def anonymous(self) -> "Absent":
        """Return the same without ids."""
        return Absent(self.count, self.of)
