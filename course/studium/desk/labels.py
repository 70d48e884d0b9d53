"""Time and memory of exercises and experiments, as measured on this machine."""

import msgspec

from studium.desk.records import now_ms
from studium.desk.store import Store


class Label(msgspec.Struct, frozen=True):
    """What one cell takes here: seconds, and the peak memory of the whole process in MB."""

    slug: str
    cell: str
    seconds: float
    mb: float
    profile: str
    exercise: str = ""
    text: str = ""


def keep_labels(store: Store, labels: list[Label]) -> None:
    """Store what was measured, replacing older measurements."""
    rows = ((one.slug, one.cell, one.exercise, one.profile, one.seconds, one.mb, now_ms()) for one in labels)
    store.write("insert or replace into labels values (?, ?, ?, ?, ?, ?, ?)", rows)


def read_labels(store: Store, slug: str | None = None, profile: str | None = None) -> dict[tuple[str, str], Label]:
    """Return the newest label of each cell, by slug and cell."""
    rows = store.read(
        "select lesson, cell, seconds, mb, profile, exercise from labels where (?1 is null or lesson = ?1)"
        " and (?2 is null or profile = ?2) order by time",
        slug,
        profile,
    )
    labels = (msgspec.convert(row, Label) for row in (dict(zip(_COLUMNS, row, strict=True)) for row in rows))
    return {(one.slug, one.cell): msgspec.structs.replace(one, text=label_text(one.seconds, one.mb)) for one in labels}


_COLUMNS = ("slug", "cell", "seconds", "mb", "profile", "exercise")


def label_text(seconds: float, mb: float) -> str:
    """Return a label as text: "about 40 s here, needs 0.9 GB"."""
    if seconds < 1:
        how_long = "under a second"
    else:
        how_long = f"about {seconds:.0f} s" if seconds < 90 else f"about {seconds / 60:.0f} min"
    return f"{how_long} here, needs {max(mb / 1024, 0.1):.1f} GB"
