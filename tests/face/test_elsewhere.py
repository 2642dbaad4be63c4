"""Names from other libraries: the error says what they are here, or what to use instead."""

import inspect
import subprocess
import sys

import pytest
import torch

import lossmith
from lossmith.face import elsewhere

MEANT = {
    "mse_loss": "lossmith.l2",
    "MSELoss": "lossmith.L2",
    "l1_loss": "lossmith.l1",
    "L1Loss": "lossmith.L1",
    "nll_loss": "lossmith.cross_entropy",
    "NLLLoss": "lossmith.CrossEntropy",
    "CrossEntropyLoss": "lossmith.CrossEntropy",
    "bce_with_logits": "lossmith.binary_cross_entropy",
    "binary_cross_entropy_with_logits": "lossmith.binary_cross_entropy",
    "BCEWithLogitsLoss": "lossmith.BinaryCrossEntropy",
    "BCELoss": "torch.logit",
    "HuberLoss": "lossmith.Huber",
    "SmoothL1Loss": "lossmith.SmoothL1",
    "KLDivLoss": "lossmith.KLDivergence",
    "kl_div": "lossmith.kl_divergence",
    "SoftMarginLoss": "lossmith.Logistic",
    "MultiMarginLoss": "lossmith.CrammerSinger",
    "FocalLoss": "lossmith.Focal",
    "sigmoid_focal_loss": "lossmith.binary_focal",
    "quantile_loss": "lossmith.pinball",
    "mean_squared_error": "lossmith.l2",
    "GaussianNLLLoss": "torch.nn.GaussianNLLLoss",
    "dice_loss": "MONAI",
    "DiceLoss": "MONAI",
    "triplet_margin_loss": "torch.nn has TripletMarginLoss",
    "CTCLoss": "torch.nn.CTCLoss",
    "Focall": "Focal",
    "cross_entropi": "cross_entropy",
    "Crossentropy": "lossmith.CrossEntropy",
    "hubber": "huber",
    "nn": "lossmith.Focal",
}


@pytest.mark.parametrize("name", MEANT)
def test_the_error_says_what_is_meant(name: str) -> None:
    assert not hasattr(lossmith, name)
    with pytest.raises(AttributeError) as caught:
        getattr(lossmith, name)
    said = str(caught.value)
    assert said.startswith(f"module 'lossmith' has no attribute {name!r}")
    assert MEANT[name] in said


def names_of_torch() -> list[str]:
    losses = [n for n in vars(torch.nn) if n.endswith("Loss")]
    return losses + [
        n
        for n, f in inspect.getmembers(torch.nn.functional, callable)
        if n.endswith(("_loss", "_with_logits", "kl_div")) and not n.startswith("_")
    ]


@pytest.mark.parametrize("name", names_of_torch())
def test_every_loss_of_torch_is_answered(name: str) -> None:
    if name not in lossmith.__all__:
        said = elsewhere.answer(name, lossmith.__all__)
        assert "here that is lossmith." in said or "use torch.nn" in said or "torch.nn has" in said


def test_the_table_names_what_exists() -> None:
    known = {elsewhere._key(name) for name in lossmith.__all__}
    for ours, _ in elsewhere._HERE.values():
        assert ours in lossmith.__all__
    assert not known & set(elsewhere._NOT_HERE)


def test_nonsense_gets_no_guess() -> None:
    with pytest.raises(AttributeError, match=r"no attribute 'qqqq'$"):
        lossmith.qqqq  # noqa: B018


def test_the_table_alone_imports_little() -> None:
    code = (
        "import sys; from lossmith.face import elsewhere; elsewhere.answer('mse_loss', ['l2']);"
        "sys.exit(bool({'torch', 'sympy', 'numpy'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
