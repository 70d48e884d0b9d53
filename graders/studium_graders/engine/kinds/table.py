"""The table of kinds. Of two that fit a class, the first one here is taken."""

from studium_graders.engine.kinds import (
    arrays,
    dataframes,
    exceptions,
    handles,
    modules,
    random_generators,
    records,
    scalars_containers,
    standard,
    tensors,
)
from studium_graders.engine.wire.codec import KindTable

KINDS = KindTable(
    (
        *records.KINDS,
        *dataframes.KINDS,
        *tensors.KINDS,
        *arrays.KINDS,
        *standard.KINDS,
        *scalars_containers.KINDS,
        *random_generators.KINDS,
        *exceptions.KINDS,
        *modules.KINDS,
        *handles.KINDS,
    )
)
