"""What a page tells search engines and the services that show a card for a link: title, description and image."""

import hashlib
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

from studium.site.cards.card import card

FOLDER = "cards"


@dataclass(frozen=True)
class About:
    """A page's title and description, and the addresses of its image and of itself, each "" if it is not known."""

    title: str
    text: str
    image: str = ""
    address: str = ""


@dataclass
class Cards:
    """Writes the images of a site in ``folder``. ``address`` is where the site will be, or "".

    An image is drawn only if what it shows has changed. Its name changes then too, because services keep old images.
    """

    folder: Path
    address: str = ""
    _names: set[str] = field(default_factory=set)

    def about(self, page: str, title: str, text: str, above: str, svg: str) -> About:
        """Return what the page in the file ``page`` tells; its image has some words above the title, and a diagram."""
        shown = hashlib.sha256("\n".join((version("studium"), title, above, svg)).encode()).hexdigest()
        name = f"{FOLDER}/{Path(page).stem}-{shown[:8]}.png"
        self._names.add(name)
        if not (self.folder / name).is_file():
            (self.folder / FOLDER).mkdir(exist_ok=True)
            half = self.folder / f"{name}.new"
            half.write_bytes(card(title, above, svg))
            half.replace(self.folder / name)
        base = f"{self.address.rstrip('/')}/" if self.address else ""
        return About(title, text, f"{base}{name}", f"{base}{page}" if base else "")

    def tidy(self) -> None:
        """Remove images that no page has any more."""
        for file in (self.folder / FOLDER).glob("*.png"):
            if f"{FOLDER}/{file.name}" not in self._names:
                file.unlink()
