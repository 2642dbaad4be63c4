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
    "rmse": "lossmith.l2",
    "msle": "log1p",
    "CategoricalHinge": "lossmith.CrammerSinger",
    "ForCausalLMLoss": "movedim(-1, 1)",
    "log": "lossmith.primitives.log",
    "WingLoss": "lossmith.residual",
    "Reduction": 'reduction="mean"',
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


# The losses of other libraries, as their documentation of 2025 lists them.
LIBRARIES = {
    "keras": "BinaryCrossentropy BinaryFocalCrossentropy CTC CategoricalCrossentropy "
    "CategoricalFocalCrossentropy CategoricalGeneralizedCrossEntropy CategoricalHinge Circle "
    "CosineSimilarity Dice MeanAbsoluteError MeanAbsolutePercentageError MeanSquaredError "
    "MeanSquaredLogarithmicError Poisson SparseCategoricalCrossentropy Tversky kld msle mape",
    "torchvision": "sigmoid_focal_loss generalized_box_iou_loss distance_box_iou_loss "
    "complete_box_iou_loss",
    "monai": "DiceLoss MaskedDiceLoss GeneralizedDiceLoss DiceCELoss DiceFocalLoss TverskyLoss "
    "GeneralizedDiceFocalLoss GeneralizedWassersteinDiceLoss FocalLoss ContrastiveLoss "
    "BarlowTwinsLoss BendingEnergyLoss LocalNormalizedCrossCorrelationLoss SSIMLoss JukeboxLoss "
    "GlobalMutualInformationLoss MultiScaleLoss PerceptualLoss PatchAdversarialLoss "
    "AsymmetricFocalLoss AsymmetricFocalTverskyLoss AsymmetricUnifiedFocalLoss HausdorffDTLoss "
    "LogHausdorffDTLoss SoftclDiceLoss SoftDiceclDiceLoss SpectralLoss DeepSupervisionLoss",
    "segmentation_models_pytorch": "JaccardLoss LovaszLoss SoftBCEWithLogitsLoss MCCLoss "
    "SoftCrossEntropyLoss",
    "kornia": "BinaryFocalLossWithLogits LovaszHingeLoss LovaszSoftmaxLoss SSIM3DLoss MS_SSIMLoss "
    "PSNRLoss TotalVariation InverseDepthSmoothnessLoss CharbonnierLoss CauchyLoss WelschLoss "
    "GemanMcclureLoss HausdorffERLoss js_div_loss_2d kl_div_loss_2d",
    "transformers": "LabelSmoother ForCausalLMLoss ForMaskedLMLoss ForSequenceClassificationLoss "
    "ForTokenClassification ForQuestionAnsweringLoss fixed_cross_entropy",
    "optax": "softmax_cross_entropy_with_integer_labels poly_loss_cross_entropy cosine_distance "
    "safe_softmax_cross_entropy squared_error l2_loss sigmoid_binary_cross_entropy ntxent "
    "ranking_softmax_loss sparsemax_loss",
    "sklearn": "log_loss mean_pinball_loss brier_score_loss median_absolute_error "
    "root_mean_squared_error mean_squared_log_error",
    "timm": "LabelSmoothingCrossEntropy SoftTargetCrossEntropy AsymmetricLossMultiLabel "
    "AsymmetricLossSingleLabel JsdCrossEntropy",
    "tensorflow": "sigmoid_cross_entropy_with_logits weighted_cross_entropy_with_logits "
    "softmax_cross_entropy_with_logits sparse_softmax_cross_entropy_with_logits",
}


@pytest.mark.parametrize("library", LIBRARIES)
def test_every_loss_of_other_libraries_is_answered(library: str) -> None:
    for name in LIBRARIES[library].split():
        said = elsewhere.answer(name, lossmith.__all__)
        assert "did you mean" not in said
        assert said, name


def test_what_a_loss_elsewhere_is_here_is_the_same_number() -> None:
    target = torch.tensor([0.5, 2.0, 4.0], dtype=torch.float64)
    prediction = torch.tensor([1.0, 1.5, 5.0], dtype=torch.float64)
    percent = (100 * (target - prediction).abs() / target.abs()).mean()
    total, _ = lossmith.l1.total(prediction, target, sample_weight=100 / target.abs())
    torch.testing.assert_close(total / target.numel(), percent)
    logits, label = (
        torch.randn(5, 3, generator=torch.Generator().manual_seed(1)),
        torch.arange(5) % 3,
    )
    counts = torch.tensor([10.0, 3.0, 1.0])
    balanced = (
        counts * logits.exp()
    )  # Ren et al. 2020: the exponential times the count of the class
    expected = -(balanced / balanced.sum(1, keepdim=True))[range(5), label].log().mean()
    ours = lossmith.cross_entropy(logits + (counts / counts.sum()).log(), label)
    torch.testing.assert_close(ours, expected)
    positive = torch.tensor([1.0, 0.0, 1.0], dtype=torch.float64)
    theirs = torch.nn.functional.binary_cross_entropy_with_logits(
        prediction, positive, pos_weight=torch.tensor(3.0)
    )
    total, _ = lossmith.binary_cross_entropy.total(
        prediction, positive, sample_weight=1 + 2 * positive
    )
    torch.testing.assert_close(total / 3, theirs)


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
