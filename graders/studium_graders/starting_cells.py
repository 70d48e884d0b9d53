"""Answer cells of a release that start with wrong code, which the learner corrects, and not with nbgrader's stub."""

from typing import Any

from nbformat import NotebookNode
from nbgrader.preprocessors import ClearSolutions


class StartingCells(ClearSolutions):  # type: ignore[misc]
    """Clears solutions as nbgrader does; a cell of the source that brings the code to start with gets that."""

    def preprocess_cell(
        self, cell: NotebookNode, resources: dict[str, Any], cell_index: int
    ) -> tuple[NotebookNode, dict[str, Any]]:
        """Return the cell as students get it."""
        cell, resources = super().preprocess_cell(cell, resources, cell_index)
        if start := cell.metadata.get("studium", {}).pop("start", ""):
            cell.source = start
        return cell, resources
