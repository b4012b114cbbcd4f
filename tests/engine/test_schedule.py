"""Learning rates and optimisers."""

from __future__ import annotations

import io

import pytest
import torch

from mpafer.common.defaults import default_config
from mpafer.common.errors import OptionError
from mpafer.engine.optim import build_optimizer
from mpafer.engine.schedule import build_lr_scheduler

# Rates per epoch of Dassl's build_lr_scheduler() at commit c61a1b5, LR 0.002, GAMMA 0.1
COSINE = {"LR_SCHEDULER": "cosine", "MAX_EPOCH": 5}
CONSTANT = {"WARMUP_EPOCH": 1, "WARMUP_TYPE": "constant"}
LINEAR = {"WARMUP_EPOCH": 2, "WARMUP_TYPE": "linear"}
DASSL = [
    (COSINE | CONSTANT, [1e-05, 0.002, 0.0018090169943749475, 0.0013090169943749475, 0.0006909830056250527]),
    (
        COSINE | LINEAR | {"WARMUP_RECOUNT": False},
        [1e-05, 0.001, 0.002, 0.0010557280900008413, 0.00029179606750063104],
    ),
    (
        {"LR_SCHEDULER": "multi_step", "STEPSIZE": (2, 4), "MAX_EPOCH": 6} | LINEAR | {"WARMUP_EPOCH": 1},
        [1e-05, 0.002, 0.002, 0.0002, 0.0002, 2e-05],
    ),
    (
        {"LR_SCHEDULER": "single_step", "STEPSIZE": (2,), "MAX_EPOCH": 6, "WARMUP_RECOUNT": False} | CONSTANT,
        [1e-05, 0.002, 0.0002, 0.0002, 2e-05, 2e-05],
    ),
    ({"LR_SCHEDULER": "single_step", "MAX_EPOCH": 3}, [0.002, 0.002, 0.002]),
]


def optim_cfg(**settings):
    cfg = default_config().OPTIM
    cfg.merge_from_list([item for pair in ({"NAME": "sgd", "LR": 0.002} | settings).items() for item in pair])
    return cfg


def groups() -> list[dict]:
    return [
        {"params": [torch.nn.Parameter(torch.ones(2))]},
        {"params": [torch.nn.Parameter(torch.ones(2))], "lr": 0.004},
    ]


def rates(optimizer, scheduler, epochs: int) -> list[list[float]]:
    """One list per parameter group."""
    found = []
    for _ in range(epochs):
        found.append([group["lr"] for group in optimizer.param_groups])
        optimizer.step()
        scheduler.step()
    return [list(column) for column in zip(*found, strict=True)]


@pytest.mark.parametrize("settings, expected", DASSL)
def test_rates_are_dassls(settings, expected):
    cfg = optim_cfg(**settings)
    optimizer = build_optimizer(groups(), cfg)
    first, second = rates(optimizer, build_lr_scheduler(optimizer, cfg), cfg.MAX_EPOCH)
    assert first == pytest.approx(expected, rel=1e-9)
    # warm-up rates that are given as such hold for every group, all others follow the group's own rate
    assert second == pytest.approx([r if r == 1e-5 else 2 * r for r in expected], rel=1e-9)


def test_rates_depend_on_the_settings():
    for settings, expected in DASSL[:2]:
        cfg = optim_cfg(**settings, WARMUP_CONS_LR=2e-5, WARMUP_MIN_LR=2e-5)
        optimizer = build_optimizer(groups(), cfg)
        assert rates(optimizer, build_lr_scheduler(optimizer, cfg), 5)[0] != pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("finished", [0, 1, 3])
@pytest.mark.parametrize("with_optimizer", [True, False])
def test_a_schedule_resumes_exactly_from_plain_values(finished, with_optimizer):
    cfg = optim_cfg(**DASSL[0][0])
    optimizer = build_optimizer(groups(), cfg)
    scheduler = build_lr_scheduler(optimizer, cfg)
    rates(optimizer, scheduler, finished)
    file = io.BytesIO()
    torch.save({"scheduler": scheduler.state_dict(), "optimizer": optimizer.state_dict()}, file)
    file.seek(0)
    state = torch.load(file, weights_only=True)
    expected = rates(optimizer, scheduler, 5 - finished)

    resumed = build_optimizer(groups(), cfg)
    schedule = build_lr_scheduler(resumed, cfg)
    if with_optimizer:
        resumed.load_state_dict(state["optimizer"])
    schedule.load_state_dict(state["scheduler"])
    assert schedule.get_last_lr() == [group["lr"] for group in resumed.param_groups]
    assert rates(resumed, schedule, 5 - finished) == expected


def test_schedule_errors():
    optimizer = build_optimizer(groups(), optim_cfg())
    for settings, message in [
        ({"LR_SCHEDULER": "cosin"}, "OPTIM.LR_SCHEDULER is 'cosin'; choose one of single_step, multi_step, cosine"),
        ({"WARMUP_EPOCH": 1, "WARMUP_TYPE": "slow"}, "OPTIM.WARMUP_TYPE is 'slow'; choose one of constant, linear"),
        ({"LR_SCHEDULER": "single_step", "STEPSIZE": (1.5,)}, "OPTIM.STEPSIZE"),
    ]:
        with pytest.raises(OptionError, match=message):
            build_lr_scheduler(optimizer, optim_cfg(**settings))
    one_group = build_optimizer(groups()[:1], optim_cfg())
    state = build_lr_scheduler(one_group, optim_cfg()).state_dict()
    with pytest.raises(ValueError, match="1 parameter groups, the optimiser has 2"):
        build_lr_scheduler(optimizer, optim_cfg()).load_state_dict(state)


@pytest.mark.parametrize(
    "name, kind",
    [
        ("sgd", "SGD"),
        ("adam", "Adam"),
        ("amsgrad", "Adam"),
        ("adamw", "AdamW"),
        ("radam", "RAdam"),
        ("rmsprop", "RMSprop"),
    ],
)
def test_every_optimiser_minimises(name, kind):
    layer = torch.nn.Linear(3, 1)
    optimizer = build_optimizer(layer, optim_cfg(NAME=name, LR=0.01))
    assert type(optimizer).__name__ == kind
    assert optimizer.defaults.get("amsgrad", False) == (name == "amsgrad")
    losses = []
    for _ in range(20):
        loss = layer(torch.ones(2, 3)).pow(2).mean()
        losses.append(float(loss.detach()))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert losses[-1] < losses[0]


def test_staged_rates_and_errors():
    model = torch.nn.ModuleDict({"base": torch.nn.Linear(2, 2), "head": torch.nn.Linear(2, 2, bias=False)})
    cfg = optim_cfg(STAGED_LR=True, NEW_LAYERS=("head",))
    found = [(group["lr"], len(group["params"])) for group in build_optimizer(model, cfg).param_groups]
    assert found == [(pytest.approx(0.0002), 2), (0.002, 1)]
    with pytest.raises(ValueError, match=r"NEW_LAYERS names \['tail'\]"):
        build_optimizer(model, optim_cfg(STAGED_LR=True, NEW_LAYERS=("tail",)))
    with pytest.raises(TypeError, match="STAGED_LR needs a module"):
        build_optimizer(model.parameters(), cfg)
    with pytest.raises(ValueError, match=r"OPTIM.NAME is 'sdg'; choose one of sgd, adam"):
        build_optimizer(model, optim_cfg(NAME="sdg"))
