"""What the claims of a topic measure when it is checked."""

from studium.experiments.building_blocks import experiments
from studium.experiments.measuring import ClaimResult, reproduce
from studium.topics.profiles import Profile
from studium.topics.topic import Topic

SEEDS = {"smoke": 1, "laptop": 3, "gpu": 3}
PUBLISHED_SEEDS = 10


def measure_claims(topic: Topic, profile: Profile, *, publish: bool) -> list[ClaimResult]:
    """Run the experiments that have claims to measure at this profile, over more seeds to ``publish``."""
    measured = [claim for claim in topic.claims if profile.name == "smoke" or claim.judged_at(profile)]
    wanted = [i for i, (_, own) in enumerate(experiments(topic)) if any(claim in measured for claim in own)]
    seeds = range(PUBLISHED_SEEDS if publish else SEEDS[profile.name])
    return list(reproduce(topic, profile, seeds, wanted, threads=1))
