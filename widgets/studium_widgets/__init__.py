"""Interactive pictures for notebooks: each is one Python class and one plain ES module.

Names are loaded on first use, so that importing this package imports neither ipywidgets nor plotly.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from studium_widgets.arrays import Array
    from studium_widgets.attention import AttentionHeatmap
    from studium_widgets.base import Widget
    from studium_widgets.modules import ModuleLinkError, link
    from studium_widgets.noise_schedule import NoiseSchedule
    from studium_widgets.plots import figure
    from studium_widgets.rank_explorer import RankExplorer

__all__ = ["Array", "AttentionHeatmap", "ModuleLinkError", "NoiseSchedule", "RankExplorer", "Widget", "figure", "link"]

_HOME = {
    "Array": "arrays",
    "AttentionHeatmap": "attention",
    "ModuleLinkError": "modules",
    "NoiseSchedule": "noise_schedule",
    "RankExplorer": "rank_explorer",
    "Widget": "base",
    "figure": "plots",
    "link": "modules",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"studium_widgets has no {name!r}: it has {', '.join(__all__)}")
    return getattr(importlib.import_module(f"studium_widgets.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return __all__
