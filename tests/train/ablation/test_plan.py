"""What is compared, and whether the comparison is fair."""

from pathlib import Path

import pytest
import torch

from jointmat.build import build
from jointmat.config import differences, to_mapping
from jointmat.errors import ConfigError
from tests.train.ablation.conftest import ARMS, PLAN, write
from train.ablation.plan import Planner, read_plan
from train.config import load_config, merged

CONFIGS = Path(__file__).parents[3] / "configs"


@pytest.fixture(scope="module")
def real():
    return Planner(read_plan(CONFIGS / "ablation.yaml"), CONFIGS, {"root": "DIR"})


def test_the_arms_are_those_that_the_design_is_made_of(real):
    assert list(real.plan.arms) == [
        *("joint", "two-model", "two-model-k3", "two-model-k5", "shm", "hard", "straight-through"),
        *("soft", "soft-gradient-0", "soft-saturation-30", "soft-saturation-0", "frozen"),
        *("band-3", "band-7", "band-11", "no-attention", "no-fusion", "no-hair", "overviews"),
        *("no-priors", "true-trimap", "classic"),
    ]
    thrice = ("joint", "true-trimap", "two-model", "two-model-k3", "two-model-k5", "hard", "soft")
    seeds = dict.fromkeys(thrice, (1, 2, 3)) | dict.fromkeys(("shm", "no-attention", "no-hair"), (1, 2))
    assert {name: real.plan.seeds(name) for name in real.plan.arms} == {
        name: seeds.get(name, (1,)) for name in real.plan.arms
    }


def test_two_models_are_judged_with_three_trimaps(real):
    widths = {}
    for name in ("two-model", "two-model-k3", "two-model-k5"):
        arm, trained = real.plan.arms[name], real.model(real.plan.owner(name))
        widths[name] = ((arm.kernel or trained.kernel) - 1) // 2 * trained.iterations
        assert real.runs(name, 1)[0].model == trained
    assert widths == {"two-model": 18, "two-model-k3": 6, "two-model-k5": 12}  # pixels to each side


def test_arms_differ_from_the_joint_network_by_what_they_are_named_for(real):
    def changed(name):
        before = to_mapping(real.runs("joint", 1)[-1]) | {"name": ""}
        return {
            line.partition(":")[0]
            for stage in real.runs(name, 1)
            for line in differences(before, to_mapping(stage) | {"name": ""})
        }

    assert changed("joint") == changed("true-trimap") == set()
    assert changed("two-model") == {"model.architecture", "data.user_trimaps"}
    assert changed("shm") == {"model.architecture"}
    assert changed("hard") == {"model.hard_trimap"}
    assert changed("no-attention") == {"model.key_channels"}
    assert changed("straight-through") == {"model.hard_trimap", "trimap_gradient"}
    assert changed("soft-gradient-0") == {"model.saturation"}
    for name in ("soft", "soft-saturation-30", "soft-saturation-0"):
        assert changed(name) == {"model.saturation", "trimap_gradient"}
    assert changed("no-hair") == {"data.hair"}
    assert changed("overviews") == {"data.given_share"}
    assert changed("no-priors") == {"data.priors"}
    assert changed("no-fusion") == {"model.fusion"}
    assert {name: real.model(f"band-{name}").band for name in (3, 7, 11)} == {3: 1.5, 7: 4.5, 11: 7.5}
    losses = {f"loss.{name}" for name in ("alpha", "unknown", "composition", "laplacian")}
    assert changed("frozen") == {"frozen", "data.given_share", *losses}


def test_every_network_can_be_built_and_costs_less_than_the_classic_one(real):
    configs = {name: real.model(name) for name in real.plan.arms}
    with torch.device("meta"):  # sizes without numbers
        networks = {config: build(config) for config in set(configs.values())}
    sizes = {name: sum(p.numel() for p in networks[config].parameters()) for name, config in configs.items()}
    assert sizes["joint"] < 0.6 * sizes["two-model"]
    assert sizes["no-attention"] < sizes["joint"]
    assert 25_164_529 < sizes["classic"] == max(sizes.values())


def test_seeds_change_the_seeds_alone(real):
    one, two = (to_mapping(real.runs("joint", seed)[0]) for seed in (1, 2))
    assert {line.partition(":")[0] for line in differences(one, two)} == {"name", "seed", "data.seed"}


def test_two_models_have_the_budget_of_the_joint_network():
    joint, two = (to_mapping(load_config(CONFIGS / f"{name}.yaml")) for name in ("lite", "two-model"))
    changed = {line.partition(":")[0] for line in differences(joint, two)}
    assert changed == {"name", "model.architecture", "data.user_trimaps"}
    assert two["data"]["user_trimaps"] == 1


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_configuration_can_be_read(path):
    if path.stem.startswith("ablation"):
        Planner(read_plan(path), CONFIGS, {})
    else:
        assert load_config(path).steps > 0


def test_frozen_parts_are_parts_of_the_network(real):
    with torch.device("meta"):
        parts = {name for name, _ in build(real.model("frozen")).named_children()}
    assert {part for stage in real.runs("frozen", 1) for part in stage.frozen} <= parts


def test_the_main_comparison_is_repeated_with_the_configurations_of_the_weights():
    full = Planner(read_plan(CONFIGS / "ablation-full.yaml"), CONFIGS, {})
    budget = {"steps", "batch_size", "name", "threads"}
    for name, config in (("joint", "lite"), ("two-model", "two-model")):
        [run] = full.runs(name, seed=1)
        own = to_mapping(load_config(CONFIGS / f"{config}.yaml"))
        changed = {line.partition(":")[0] for line in differences(own, to_mapping(run))}
        assert changed <= budget
        assert full.plan.processes * run.batch_size == own["batch_size"]
    assert full.plan.judge.max_side == 512


def test_quick_changes_the_plan_itself(plan):
    assert read_plan(plan).judge.images == 3
    quick = read_plan(plan, quick=True)
    assert (quick.judge.images, quick.judge.max_side, quick.change["steps"]) == (2, 64, 2)
    assert quick.seeds("joint") == (1, 2)
    write(plan, merged(PLAN, {"quick": {"seeds": [5]}}))
    assert read_plan(plan, quick=True).seeds("true-trimap") == (5,)


def test_chosen_arms_bring_those_whose_networks_they_take(plan):
    assert read_plan(plan).chosen(["true-trimap"]) == {"joint", "true-trimap"}
    assert read_plan(plan).chosen(["frozen"]) == {"frozen"}
    assert read_plan(plan).chosen([]) == set(ARMS)
    with pytest.raises(ConfigError, match="no arm froze: expected joint, two-model, frozen"):
        read_plan(plan).chosen(["froze"])


def test_stages_are_named_by_their_number_and_keep_their_changes(plan):
    first, last = Planner(read_plan(plan), plan.parent, {"root": "DIR"}).runs("frozen", 2)
    assert (first.name, last.name) == ("frozen-seed2/stage1", "frozen-seed2")
    assert (first.frozen, last.frozen) == (("decoder",), ("encoder", "segmentation"))
    assert (last.seed, last.data.seed, last.data.root, last.data.workers, last.steps) == (2, 2, "DIR", 0, 3)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"arms": {"joint": {"titel": "x"}}}, r"unknown key .*titel: did you mean .*title"),
        ({"reference": "joined"}, "reference=joined: expected one of joint, two-model"),
        ({"arms": {"true-trimap": {"of": "wide"}}}, r"arms\.true-trimap\.of=wide: expected an arm with weights"),
        ({"arms": {"true-trimap": {"of": "x"}}}, r"arms\.true-trimap\.of=x: expected an arm with weights"),
        ({"arms": None}, "expected base and arms"),
    ],
)
def test_plans_that_cannot_be_used(plan, change, text):
    write(plan, merged(PLAN, change))
    with pytest.raises(ConfigError, match=text):
        read_plan(plan)


def test_a_change_that_no_configuration_knows_is_named_with_its_arm(plan):
    write(plan, merged(PLAN, {"arms": {"frozen": {"change": {"setps": 3}}}}))
    with pytest.raises(ConfigError, match=r"unknown key frozen\.setps: did you mean frozen\.steps"):
        Planner(read_plan(plan), plan.parent, {})


def test_a_kernel_needs_a_trimap_that_is_made_with_it(plan):
    write(plan, merged(PLAN, {"arms": {"narrow": {"of": "joint"}}}))
    with pytest.raises(ConfigError, match=r"arms\.narrow\.kernel=3: needs two models with a hard trimap"):
        Planner(read_plan(plan), plan.parent, {})
