"""Compare gradients, and report differences in the learner's words."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from studium.exercises.comparison import assert_close

if TYPE_CHECKING:
    from torch import Tensor


def assert_gradients(
    outputs: "Tensor",
    inputs: "Mapping[str, Tensor]",
    expected: "Mapping[str, Tensor] | Callable[..., Tensor]",
    grad_outputs: "Tensor | None" = None,
    *,
    rtol: float | None = None,
    atol: float | None = None,
    message: str = "",
) -> None:
    """Fail with a sentence unless ``outputs`` has the ``expected`` gradients with respect to ``inputs``.

    ``inputs`` maps names to tensors. ``expected`` maps some of these names to gradients, or is a function that computes
    the right outputs from the tensors, in order. ``grad_outputs`` is as in ``torch.autograd.grad``, and can be left out
    for a single number. The graph is kept, so a second output can be checked. ``message`` is put before the sentence.
    """
    import torch

    start = f"{message}: " if message else ""
    assert isinstance(outputs, torch.Tensor), (
        f"{start}expected a tensor through which gradients flow, got {type(outputs).__name__}"
    )
    shape = () if grad_outputs is None else tuple(grad_outputs.shape)
    one_number = grad_outputs is None and outputs.numel() == 1
    assert one_number or tuple(outputs.shape) == shape, f"{start}expected shape {shape}, got {tuple(outputs.shape)}"
    wanted: Mapping[str, Any] = _gradients_of(expected, inputs, grad_outputs) if callable(expected) else expected
    found = _gradients(outputs, {name: inputs[name] for name in wanted}, grad_outputs)
    for name, right in wanted.items():
        given = found[name]
        if right is None and given is None:  # the right outputs do not use it either
            continue
        assert given is not None, f"{start}no gradient reaches `{name}`: it is detached"
        exact = torch.zeros_like(given) if right is None else right
        assert_close(given, exact, rtol=rtol, atol=atol, message=f"{start}the gradient of `{name}`")


def _gradients(outputs: Any, inputs: "Mapping[str, Tensor]", grad_outputs: Any) -> "dict[str, Tensor | None]":
    import torch

    if not outputs.requires_grad:
        return dict.fromkeys(inputs)
    found = torch.autograd.grad(outputs, list(inputs.values()), grad_outputs, retain_graph=True, allow_unused=True)
    return dict(zip(inputs, found, strict=True))


def _gradients_of(
    function: "Callable[..., Tensor]", inputs: "Mapping[str, Tensor]", grad_outputs: Any
) -> "dict[str, Tensor | None]":
    """Return the gradients of a correct function at the same inputs, with None for those it does not use."""
    import torch

    leaves = {name: value.detach().clone().requires_grad_() for name, value in inputs.items()}
    with torch.enable_grad():
        return _gradients(function(*leaves.values()), leaves, grad_outputs)
