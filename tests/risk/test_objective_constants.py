"""Every criterion: its state is what it learned, its constants follow it, its errors name them."""

import copy
import pickle

import pytest
import torch

import lossmith

W, ALPHA = torch.rand(5) + 0.5, torch.rand(5) + 0.5


def learned(number):
    return torch.tensor(number, requires_grad=True)


MODULES = {
    "class weight": (lambda: lossmith.CrossEntropy(class_weight=W), [], ["class_weight"]),
    "gamma, alpha": (
        lambda: lossmith.Focal(gamma=torch.tensor(2.0), alpha=ALPHA), [], ["gamma", "alpha"],
    ),
    "learned gamma": (lambda: lossmith.Focal(gamma=learned(2.0)), ["gamma"], []),
    "delta": (lambda: lossmith.Huber(delta=torch.tensor(1.5)), [], ["delta"]),
    "learned delta": (lambda: lossmith.Huber(delta=learned(1.5)), ["delta"], []),
    "one vs rest": (
        lambda: lossmith.OneVsRest("binary_focal", gamma=learned(2.0), class_weight=W),
        ["gamma"], ["class_weight"],
    ),
    "crammer-singer": (
        lambda: lossmith.CrammerSinger("hinge", class_weight=W), [], ["class_weight"],
    ),
    "kl": (lambda: lossmith.KLDivergence(direction="reverse"), [], []),
    "js": (lambda: lossmith.JSDivergence(), [], []),
    "linear": (
        lambda: lossmith.LinearLoss(3, 5, class_weight=W), ["weight", "bias"], ["class_weight"],
    ),
    "linear, gamma": (
        lambda: lossmith.LinearLoss(3, 5, "focal", gamma=learned(2.0), alpha=ALPHA),
        ["weight", "bias", "gamma"], ["alpha"],
    ),
    "linear, Module": (
        lambda: lossmith.LinearLoss(3, 5, lossmith.Focal(gamma=learned(2.0), class_weight=W)),
        ["weight", "bias", "loss.gamma"], ["loss.class_weight"],
    ),
    "center": (
        lambda: lossmith.CenterLoss(5, 3, loss=lossmith.Huber(delta=torch.tensor(1.5))),
        ["centers"], ["centers", "loss.delta"],
    ),
    "center, gradient": (
        lambda: lossmith.CenterLoss(5, 3, "gradient", loss=lossmith.Huber(delta=learned(1.5))),
        ["centers", "loss.delta"], [],
    ),
    "sum": (
        lambda: lossmith.CrossEntropy(class_weight=W) + torch.tensor(0.5)
        * lossmith.CenterLoss(5, 3, "gradient"),
        ["center_loss.centers"], ["weighting.center_loss.value", "cross_entropy.class_weight"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", MODULES)
def test_the_state_is_learned_and_constants_follow(case):
    make, state, constants = MODULES[case]
    module = make()
    assert list(module.state_dict()) == state
    assert [n for n, _ in module.named_buffers()] == constants
    copies = [copy.deepcopy(module), pickle.loads(pickle.dumps(module))]
    for other in copies:
        assert repr(other) == repr(module)
        mine = dict([*module.named_parameters(), *module.named_buffers()])
        theirs = dict([*other.named_parameters(), *other.named_buffers()])
        assert list(mine) == list(theirs)
        for name, tensor in mine.items():
            assert torch.equal(tensor, theirs[name])
            assert theirs[name] is not tensor
            assert isinstance(theirs[name], torch.nn.Parameter) == isinstance(
                tensor, torch.nn.Parameter
            )
    fresh = make()
    fresh.load_state_dict(module.state_dict(), strict=True)
    moved = copies[0].to("meta")
    for name, tensor in [*moved.named_parameters(), *moved.named_buffers()]:
        assert tensor.device.type == "meta", name
    assert repr(moved)  # without reading a number that lies elsewhere


Z, Y = torch.randn(4, 5), torch.tensor([0, 1, 4, 2])
META = torch.device("meta")
ERRORS = {
    "target": lambda: lossmith.CrossEntropy()(Z, Y.to(META)),
    "sample_weight": lambda: lossmith.CrossEntropy()(
        Z, Y, sample_weight=torch.ones(4, device=META)
    ),
    "mask": lambda: lossmith.L2()(Z, Z, mask=torch.ones(4, 5, device=META) > 0),
    "class_weight": lambda: lossmith.CrossEntropy(class_weight=W)(Z.to(META), Y.to(META)),
    "alpha": lambda: lossmith.Focal(alpha=ALPHA)(Z.to(META), Y.to(META)),
    "delta": lambda: lossmith.Huber(delta=torch.ones(5))(Z.to(META), Z.to(META)),
    "gamma": lambda: lossmith.Focal(gamma=learned(2.0)).to(META)(Z, Y),
    "class_weight ": lambda: lossmith.OneVsRest("hinge", class_weight=W)(Z.to(META), Y.to(META)),
    "target_probs": lambda: lossmith.KLDivergence()(Z, Z.softmax(1).to(META)),
    "target_logits": lambda: lossmith.JSDivergence()(Z, target_logits=Z.to(META)),
    "weight ": lambda: lossmith.LinearLoss(5, 3).to(META)(Z, Y),
    "centers": lambda: lossmith.CenterLoss(5, 5).to(META)(Z, Y),
    "cross_entropy_2: .*target": lambda: (
        lossmith.CrossEntropy() + lossmith.CrossEntropy().on(target="other")
    )(logits=Z, target=Y, other=Y.to(META)),
}


@pytest.mark.parametrize("argument", ERRORS)
def test_device_errors_name_the_argument(argument):
    with pytest.raises(lossmith.DeviceError, match=rf"{argument.strip()} is on (meta|cpu)"):
        ERRORS[argument]()
