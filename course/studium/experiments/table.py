"""A table of results: aligned by the browser in a notebook and on a site, by spaces in a terminal."""

from collections.abc import Iterable, Sequence

Cell = str | float | None


def show_table(columns: Sequence[str], rows: Iterable[Sequence[Cell]]) -> None:
    """Display ``rows`` under the headings ``columns``, with the first column to the left and the others to the right.

    A cell is text, already written as it should be read, a whole number, or a float, which is shown with four digits.
    None leaves its cell empty. Raises ValueError for a row that has more or fewer cells than there are columns.
    """
    from IPython.display import display
    from tabulate import tabulate

    written = [[_text(cell) for cell in row] for row in rows]
    for row in written:
        if len(row) != len(columns):
            raise ValueError(f"a row needs {len(columns)} cells, one for each column; this one has {len(row)}: {row}")
    align = ["left", *["right"] * (len(columns) - 1)]
    html, plain = (
        str(tabulate(written, list(columns), tablefmt=form, colalign=align, disable_numparse=True))
        for form in ("html", "simple")
    )
    for cell in ("<td>", "<th>"):  # Jupyter's own rule is to the right
        html = html.replace(cell, f'{cell[:-1]} style="text-align: left;">')
    display({"text/html": html, "text/plain": plain}, raw=True)


def _text(cell: Cell) -> str:
    if cell is None:
        return ""
    return cell if isinstance(cell, str) else f"{cell:,}" if isinstance(cell, int) else f"{cell:.4g}"
