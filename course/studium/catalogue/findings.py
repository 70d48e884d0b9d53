"""What ``studium doctor`` found of one thing. Plugins make these, too."""

import msgspec


class Finding(msgspec.Struct, frozen=True):
    """One thing that was examined; if it is not fine, ``found`` ends with what to do."""

    what: str
    found: str
    fine: bool = True
