"""All kinds, in one table."""

from studium_graders.engine.kinds import (
    arrays,
    containers,
    exceptions,
    generators,
    objects,
    plain,
    remote,
    standard,
    tensors,
)
from studium_graders.engine.wire.codec import KindTable

KINDS = KindTable(
    kind
    for family in (plain, containers, standard, generators, arrays, tensors, objects, exceptions, remote)
    for kind in family.KINDS
)
