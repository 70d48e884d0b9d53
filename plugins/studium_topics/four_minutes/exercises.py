"""The one exercise of the opener: the line that makes an image generator follow what it is asked for.

The scale is that of Imagen and of diffusers: 0 ignores the request, 1 is the network as it was trained. The paper's own
w is one less (Ho and Salimans 2022, arXiv 2207.12598, equation 6).
"""

import torch
from studium import assert_close, exercise


@exercise(
    points=2,
    minutes=2,
    hints=(
        "Where does the guess have to be at scale 0, and where at scale 1?",
        "Start at the untold guess. The way from there to the told one is their difference; go `scale` times that way.",
        "`untold + ... * (told - untold)`",
    ),
    level="warm-up",
    importance=3,
)
def guide(told, untold, scale):
    """Return the guess that lies `scale` times the way from `untold` to `told`.

    Scale 0 is `untold`, scale 1 is `told`, and scale 4 is far past `told`.
    """
    ### BEGIN SOLUTION
    return untold + scale * (told - untold)
    ### END SOLUTION


@guide.test("is the untold guess at scale 0 and the told guess at scale 1", points=1)
def _(guide):
    told, untold = torch.tensor([5.0, 1.0]), torch.tensor([3.0, 2.0])
    assert_close(guide(told, untold, 1), told, message="scale 1")
    assert_close(guide(told, untold, 0), untold, message="scale 0")


@guide.hidden("goes past the told guess at larger scales, in proportion, and leaves both guesses alone", points=1)
def _(guide, rng):
    for scale in (2.5, 0.0, 4.0, 1.0, 7.5):
        told, untold = (torch.randn(2, 3, 4, 4, generator=rng) for _ in range(2))
        kept = told.clone(), untold.clone()
        got = guide(told, untold, scale)
        assert_close(told, kept[0], message="the told guess after the call")
        assert_close(untold, kept[1], message="the untold guess after the call")
        assert_close(got, scale * kept[0] + (1 - scale) * kept[1], message=f"scale {scale:g}")


@guide.misconception(
    "You started at the told guess; start at the untold one, because otherwise the guess is one step too far at every "
    "scale: scale 0 already follows the request.",
    name="starts-at-told",
)
def _(told, untold, scale):
    return told + scale * (told - untold)


@guide.misconception(
    "You swapped the two guesses; start at the untold one and go towards the told one, because otherwise a larger "
    "scale moves the image away from what you asked for.",
    name="swapped",
)
def _(told, untold, scale):
    return told + scale * (untold - told)


@guide.misconception(
    "You went away from the told guess; subtract the other way round, because otherwise a larger scale moves the image "
    "away from what you asked for.",
    name="wrong-way",
)
def _(told, untold, scale):
    return untold + scale * (untold - told)


@guide.misconception(
    "You multiplied the told guess by the scale and used no untold guess; scale the difference of the two, because "
    "otherwise a larger scale takes away more noise than there is.",
    name="told-alone",
)
def _(told, untold, scale):
    return scale * told


@guide.misconception(
    "You added the told guess to the untold one; add their difference, because otherwise the noise is counted twice at "
    "scale 1.",
    name="adds-told",
)
def _(told, untold, scale):
    return untold + scale * told


@guide.also_correct
def _(told, untold, scale):
    return scale * told + (1 - scale) * untold


@guide.also_correct
def _(told, untold, scale):
    return torch.lerp(untold, told, scale)
