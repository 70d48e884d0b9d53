import pytest
import torch
from studium_topics.kits.diffusion import linear_betas, timestep_embedding


def test_the_linear_schedule_is_that_of_diffusers():
    schedulers = pytest.importorskip("diffusers.schedulers")
    theirs = schedulers.DDPMScheduler(beta_schedule="linear").betas
    torch.testing.assert_close(linear_betas(1000).float(), theirs, rtol=1e-5, atol=0)


@pytest.mark.parametrize("timesteps", [5, 20, 100, 300])
def test_a_shorter_schedule_destroys_as_much_and_stays_below_one(timesteps):
    betas = linear_betas(timesteps)
    assert betas.max() <= 0.999
    assert (1 - betas).prod() < 1e-4


def test_the_timestep_embedding_is_that_of_diffusers():
    embeddings = pytest.importorskip("diffusers.models.embeddings")
    t = torch.tensor([0, 3, 999])
    theirs = embeddings.get_timestep_embedding(t, 32)
    torch.testing.assert_close(timestep_embedding(t, 32), theirs, rtol=1e-4, atol=1e-4)
