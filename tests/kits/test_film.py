"""The film: the network of the page is the one in torch, its sampler is DDPM's and DDIM's, its mistakes show."""

import json
from importlib.resources import files

import pytest
import torch
from studium_topics.kits import shapes_unet
from studium_topics.kits.diffusion import digit_unet, linear_betas
from studium_topics.kits.film import MISTAKES, DenoisingFilm
from traitlets import TraitError

pytestmark = pytest.mark.sample(5, of="browser")

RUN = "tests/kits/film_run.js"


@pytest.fixture(scope="module")
def model():
    return shapes_unet.trained()


@pytest.fixture(scope="module")
def widget():
    return DenoisingFilm.trained()


def network_of(widget):
    lists = {name: getattr(widget, name).tolist() for name in ("weights", "scales")}
    return lists | {"tensors": widget.tensors, "levels": widget.abar.size}


def settings_of(widget, **more):
    size = widget.channels * widget.side**2
    ours = {
        "abar": widget.abar.tolist(),
        "steps": 5,
        "eta": 1.0,
        "mistake": "none",
        "label": 7,
        "none": len(widget.names),
    }
    return ours | {"scale": 1.0, "seed": 3, "images": 1, "size": size} | more


def film_of(call_js, widget, **more):
    """Return the states (steps + 1, images, 3, S, S) of a film, and the timesteps that it visited."""
    found = call_js(RUN, "states", network_of(widget), settings_of(widget, **more))
    states = torch.tensor(found["states"], dtype=torch.float32)
    return states.unflatten(2, (widget.channels, widget.side, widget.side)), found["times"]


@pytest.mark.browser
@pytest.mark.parametrize(("t", "label"), [(0, 7), (60, 59), (99, shapes_unet.NO_KIND), (30, -1)])
def test_the_network_in_the_page_predicts_what_it_predicts_in_torch(call_js, model, widget, t, label):
    x = torch.randn(1, 3, 16, 16, generator=torch.Generator().manual_seed(t))
    y = None if label < 0 else torch.tensor([label])
    with torch.no_grad():
        expected = model(x, torch.tensor([t]), y).flatten()
    found = torch.tensor(call_js(RUN, "predict", network_of(widget), x.flatten().tolist(), t, label))
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-4)


@pytest.mark.browser
def test_a_network_without_labels_that_a_learner_trained_runs_in_the_page_too(call_js):
    model = digit_unet(20, seed=1)
    with torch.no_grad():
        model.leave[-1].weight.normal_(generator=torch.Generator().manual_seed(0))
    widget = DenoisingFilm.of(model, linear_betas(20), side=8, images=2)
    x = torch.randn(1, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected = model(x, torch.tensor([4])).flatten()
    found = torch.tensor(call_js(RUN, "predict", network_of(widget), x.flatten().tolist(), 4, -1))
    assert (found - expected).norm() < 0.03 * expected.norm()  # its weights are rounded to a byte


@pytest.mark.browser
@pytest.mark.parametrize("scale", [1.0, 3.0])
def test_without_noise_of_its_own_the_sampler_of_the_page_is_ddim(call_js, model, widget, scale):
    states, times = film_of(call_js, widget, eta=0.0, scale=scale)
    x, abar = states[0], torch.from_numpy(widget.abar.copy()).float()
    for i, t in enumerate(times):
        before = abar[times[i + 1]] if i + 1 < len(times) else torch.tensor(1.0)
        with torch.no_grad():
            told, untold = (model(x, torch.tensor([t]), torch.tensor([y])) for y in (7, shapes_unet.NO_KIND))
        eps = untold + scale * (told - untold)
        x0 = (x - (1 - abar[t]).sqrt() * eps) / abar[t].sqrt()
        x = before.sqrt() * x0 + (1 - before).sqrt() * eps
        torch.testing.assert_close(states[i + 1], x, rtol=1e-2, atol=2e-3)


@pytest.mark.browser
def test_each_mistake_changes_the_images_and_noise_at_the_end_only_the_last_step(call_js, widget):
    right, _ = film_of(call_js, widget)
    for mistake in MISTAKES[1:]:
        wrong, _ = film_of(call_js, widget, mistake=mistake)
        assert (wrong[-1] - right[-1]).abs().amax() > 0.01, mistake
        if mistake == "noise-at-0":
            torch.testing.assert_close(wrong[:-1], right[:-1])


def test_the_shipped_network_draws_what_it_is_asked_for(model):
    """Colour of the pixels that stand out, for six kinds, by the deterministic sampler with 25 steps."""
    kinds = [shapes_unet.KINDS.index(f"a large {name} disc") for name in ("red", "green", "blue", "yellow", "purple")]
    y, abar = torch.tensor(kinds), (1 - shapes_unet.betas()).cumprod(0).float()
    x = torch.randn(len(y), 3, 16, 16, generator=torch.Generator().manual_seed(0))
    times = range(99, -1, -4)
    for t, after in zip(times, [*times[1:], None], strict=True):
        with torch.no_grad():
            eps = model(x, torch.full((len(y),), t), y)
        before = torch.tensor(1.0) if after is None else abar[after]
        x = before.sqrt() * (x - (1 - abar[t]).sqrt() * eps) / abar[t].sqrt() + (1 - before).sqrt() * eps
    bright = x.amax(1) > 0.2
    found = torch.stack([image[:, where].mean(1) for image, where in zip(x, bright, strict=True)])
    inks = torch.tensor(list(shapes_unet.shapes.COLOURS.values())) * 2 - 1
    assert torch.cdist(found, inks).argmin(1).tolist() == [0, 1, 2, 3, 4]


def test_a_page_carries_the_film_in_less_than_half_a_megabyte(widget):
    assert len(json.dumps(widget.snapshot())) < 500_000
    assert files("studium_topics.kits").joinpath(shapes_unet.FILE).stat().st_size < 400_000


def test_too_large_a_network_too_many_steps_and_numbers_that_do_not_fit_are_refused(widget):
    with pytest.raises(TraitError, match="sampling_steps goes up to 100, the levels, got 101"):
        DenoisingFilm.trained(sampling_steps=101)
    with pytest.raises(TraitError, match=r"need .* weights and .* scales, got"):
        DenoisingFilm.trained(weights=widget.weights[1:])
    with pytest.raises(TraitError, match="at most 600,000 weights"):
        DenoisingFilm.trained(tensors=["a 1000 1000"])


@pytest.mark.browser
def test_the_film_plays_up_to_its_step_and_another_seed_gives_other_images(mount):
    page = mount(DenoisingFilm.trained(sampling_steps=10, step=10, images=2))
    said = page.get_by_text("2 images after 10 of 10 steps").first
    said.wait_for()
    before = pixels(page)
    page.get_by_role("button", name="next seed").click()
    page.wait_for_function(f"document.querySelector('.st-denoising canvas').toDataURL() !== {json.dumps(before)}")
    said.wait_for()


@pytest.mark.browser
def test_where_motion_is_unwelcome_the_noise_says_that_its_steps_are_being_made(mount):
    page = mount(DenoisingFilm.trained(sampling_steps=100, step=100), still=True)
    page.get_by_text("6 images: noise, until 100 steps are made.").first.wait_for()
    page.get_by_text("6 images after 100 of 100 steps").first.wait_for()


STEPS = """() => new Promise((resolve) => {
  const pairs = [];
  const look = () => {
    const said = document.querySelector(".st-summary").textContent.match(/after (\\d+) of/)?.[1];
    const slider = Number(document.querySelector(".st-player input").value);
    if (said) pairs.push([slider, Number(said)]);
    if (Number(said) === 100) resolve(pairs);
    else setTimeout(look);
  };
  look();
})"""


@pytest.mark.browser
def test_while_its_steps_are_made_the_slider_stands_at_the_step_of_the_images(mount):
    page = mount(DenoisingFilm.trained(sampling_steps=100, step=100))
    page.get_by_label("Step", exact=True).wait_for()
    pairs = page.evaluate(STEPS)
    assert len(pairs) > 3
    assert [slider for slider, _ in pairs] == [said for _, said in pairs]
    assert (pairs[0][0] < 100, pairs[-1][0]) == (True, 100)


def pixels(page):
    return page.locator(".st-denoising canvas").first.evaluate("canvas => canvas.toDataURL()")
