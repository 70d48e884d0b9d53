"""pyplot of the student's process, for a test that asks what is drawn there, or has its axes drawn on."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FunctionType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from studium_graders.engine.remote.exports import Side

PYPLOT = "matplotlib.pyplot"


def is_loaded() -> bool:
    """Tell whether anything can have been drawn in this process."""
    return PYPLOT in sys.modules


def close_all() -> None:
    """Close what is drawn in this process, as a notebook does after each cell."""
    if is_loaded():
        sys.modules[PYPLOT].close("all")


@contextmanager
def there(side: "Side") -> Iterator[None]:
    """Let the functions of pyplot be called on the other side; its classes stay those of this one."""
    names = vars(sys.modules[PYPLOT])
    own = {name: value for name, value in names.items() if type(value) is FunctionType and not name.startswith("_")}
    names.update({name: _asking(side, name) for name in own})
    try:
        yield
    finally:
        names.update(own)


def _asking(side: "Side", name: str) -> Any:
    def ask(*args: Any, **kwargs: Any) -> Any:
        return side.request("pyplot", name, args, kwargs, path=f"pyplot.{name}()")

    return ask
