"""The exercises: routing, the fair dense layers, experts without and with limited room, losses, and a silent router."""

from .dense_twins import dense_twins
from .mixture import mixture
from .moe_layer import moe_layer
from .route import route
from .router_losses import router_losses
from .seats import seats
from .switch_layer import switch_layer

exercises = (
    route,
    dense_twins,
    mixture,
    seats,
    router_losses,
    switch_layer,
    moe_layer,
)
