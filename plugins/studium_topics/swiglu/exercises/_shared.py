import torch
import torch.nn.functional as F

_ACTIVATIONS = {
    "glu": torch.sigmoid,
    "bilinear": torch.clone,
    "reglu": torch.relu,
    "geglu": F.gelu,
    "swiglu": F.silu,
}
