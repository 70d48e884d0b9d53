"""The files that all pages of a site share: style, scripts, the font for formulas, plotly.js, the search index."""

import base64
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

from studium.notebooks.files import write_text

FOLDER = "assets"
PLOTLY = "plotly.js"
_MATHS = "maths.css"
_STATIC: Traversable = files("studium.site") / "static"


def write_assets(site: Path, search_index: str, *, plots: bool) -> None:
    """Write the shared files below ``site``; plotly.js, which is large, only if a page has a figure."""
    texts = {name: asset(name) for name in names() if plots or name != PLOTLY} | {"passages.js": search_index}
    for name, text in texts.items():
        path = site / FOLDER / name
        if not path.is_file() or path.read_text("utf-8") != text:
            write_text(text, path)


def names() -> list[str]:
    """Return the names of the files that do not depend on the lessons."""
    return [*(item.name for item in _STATIC.iterdir()), _MATHS, PLOTLY]


def asset(name: str) -> str:
    """Return the text of one of them."""
    if name == PLOTLY:
        from plotly.offline import get_plotlyjs  # not needed by a site without figures

        return str(get_plotlyjs())
    return _maths_style() if name == _MATHS else (_STATIC / name).read_text("utf-8")


def font_file() -> Path:
    """Return the file of the font for formulas and for the letters of card images."""
    return Path(str(files("studium.site") / "fonts" / "STIXTwoMath-Regular.ttf"))


def _maths_style() -> str:
    """Embed a font for formulas: few systems have one, and not every browser loads a font from disk.

    STIX Two Math is published under the SIL Open Font License, which lies beside it.
    """
    data = base64.b64encode(font_file().read_bytes()).decode()
    return f'@font-face{{font-family:"STIX Two Math";src:local("STIX Two Math"),url(data:font/ttf;base64,{data})}}\n'
