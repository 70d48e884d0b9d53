"""Answer cells of a release that start with wrong code for the learner to correct, instead of nbgrader's stub."""

from typing import Any

from nbformat import NotebookNode
from nbgrader.preprocessors import ClearSolutions


class StartingCells(ClearSolutions):  # type: ignore[misc]
    """Clears solutions as nbgrader does, but a cell of the source that comes with starting code gets that code."""

    def preprocess_cell(
        self, cell: NotebookNode, resources: dict[str, Any], cell_index: int
    ) -> tuple[NotebookNode, dict[str, Any]]:
        """Return the cell as students get it."""
        cell, resources = super().preprocess_cell(cell, resources, cell_index)
        if start := cell.metadata.get("studium", {}).pop("start", ""):
            cell.source = start
        return cell, resources
