"""Zeroed channels taken out: the same output for every kind of chain, and what is refused."""

import pytest
import torch
from torch import nn

import lossmith

F64 = torch.float64


def seeded(*layers):
    torch.manual_seed(3)
    model = nn.Sequential(*layers).double()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            for name in ("running_mean", "weight", "bias"):
                getattr(module, name).data.normal_()
            module.running_var.uniform_(0.5, 2.0)
    for layer in model:
        if hasattr(layer, "weight") and layer.weight.dim() > 1:
            nn.init.normal_(layer.weight)
    return model.eval()


def zero(layer, *rows):
    with torch.no_grad():
        layer.weight[list(rows)] = 0


def mlp():
    return seeded(
        nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 7, bias=False), nn.ReLU(), nn.Linear(7, 3)
    )


CHAINS = {
    "linear": (lambda: mlp(), (6,), 2),
    "batchnorm": (
        lambda: seeded(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.GELU(), nn.Linear(8, 3)), (6,), 2,
    ),
    "no bias to fold into": (
        lambda: seeded(nn.Linear(6, 8), nn.Sigmoid(), nn.Dropout(0.5), nn.Linear(8, 3, bias=False)),
        (6,), 2,
    ),
    "conv to linear": (
        lambda: seeded(
            nn.Conv2d(2, 8, 3), nn.BatchNorm2d(8), nn.SiLU(), nn.MaxPool2d(2), nn.Flatten(),
            nn.Linear(8 * 9, 3),
        ),
        (2, 8, 8), 2,
    ),
    "conv to conv": (
        lambda: seeded(nn.Conv2d(2, 8, 3, stride=2), nn.Tanh(), nn.Conv2d(8, 4, 3), nn.Flatten()),
        (2, 11, 11), 2,
    ),
    "padding that repeats": (
        lambda: seeded(
            nn.Conv1d(2, 8, 3), nn.ReLU(), nn.Conv1d(8, 4, 3, padding=1, padding_mode="replicate")
        ),
        (2, 11), 2,
    ),
    "padded, no bias": (
        lambda: seeded(nn.Conv1d(2, 8, 3, bias=False), nn.ReLU(), nn.Conv1d(8, 4, 3, padding=1)),
        (2, 11), 2,
    ),
    "averaged": (
        lambda: seeded(
            nn.Conv2d(2, 8, 3, padding=1), nn.ELU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
            nn.Linear(8, 3),
        ),
        (2, 8, 8), 2,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CHAINS)
def test_the_output_stays(name):
    make, shape, channels = CHAINS[name]
    model = make()
    zero(model[0], 1, 5)
    x = torch.randn(10, *shape, dtype=F64, generator=torch.Generator().manual_seed(0))
    before = model(x)
    result = lossmith.remove_zero_channels(model)
    assert result.removed == {"0": channels}
    assert result.kept == {}
    assert result.model[0].weight.shape[0] == 6
    torch.testing.assert_close(result.model(x), before, rtol=1e-12, atol=1e-12)
    assert model[0].weight.shape[0] == 8  # the given one is left alone


def test_channels_that_nobody_reads_go_too_and_back_through_the_layers():
    model = mlp()
    with torch.no_grad():
        model[4].weight[:, 2] = 0  # so row 2 of layer 2 is useless
        model[2].weight[:, 3] = 0
        model[2].weight[[0, 1, 3, 4, 5, 6], 6] = 0  # read by row 2 alone
    result = lossmith.remove_zero_channels(model)
    assert result.removed == {"0": 2, "2": 1}
    x = torch.randn(5, 6, dtype=F64)
    torch.testing.assert_close(result.model(x), model(x), rtol=1e-12, atol=1e-12)
    assert (result.model[2].in_features, result.model[2].out_features) == (6, 6)


def test_a_constant_that_meets_zero_padding_is_kept():
    model = seeded(nn.Conv1d(2, 4, 3), nn.ReLU(), nn.Conv1d(4, 2, 3, padding=1))
    zero(model[0], 0, 2)
    with torch.no_grad():
        model[0].bias.copy_(torch.tensor([0.5, 1.0, -0.5, 1.0]))  # ReLU(-0.5) is 0
    result = lossmith.remove_zero_channels(model)
    assert result.removed == {"0": 1}
    assert "pads with zeros" in result.kept["0"]
    x = torch.randn(3, 2, 9, dtype=F64)
    torch.testing.assert_close(result.model(x), model(x), rtol=1e-12, atol=1e-12)


def test_the_last_channel_and_the_outputs_stay():
    model = mlp()
    zero(model[0], *range(8))
    zero(model[4], 1)
    result = lossmith.remove_zero_channels(model)
    assert [result.model[i].weight.shape for i in (0, 2, 4)] == [(1, 6), (7, 1), (3, 7)]
    x = torch.randn(3, 6, dtype=F64)
    torch.testing.assert_close(result.model(x), model(x), rtol=1e-12, atol=1e-12)


class Written(nn.Module):
    """A forward of one's own, with an optional residual connection."""

    def __init__(self, residual: bool) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.conv, self.head = nn.Conv2d(1, 4, 3), nn.Linear(4 * 16, 5)
        self.middle, self.out = nn.Linear(5, 5), nn.Linear(5, 2)
        self.residual = residual

    def forward(self, x):
        x = torch.nn.functional.relu(self.conv(x))
        x = torch.sigmoid(self.head(x.view(x.size(0), -1)))
        y = torch.relu(self.middle(x))
        return self.out(x + y if self.residual else y)


def test_a_written_forward():
    model = Written(residual=False).double()
    zero(model.conv, 1, 2)
    zero(model.head, 0)
    result = lossmith.remove_zero_channels(model)
    assert result.removed == {"conv": 2, "head": 1}
    x = torch.randn(3, 1, 6, 6, dtype=F64)
    torch.testing.assert_close(result.model(x), model(x), rtol=1e-12, atol=1e-12)
    assert isinstance(result.model, Written)


def test_a_residual_connection_is_refused_by_name():
    model = Written(residual=True).double()
    zero(model.conv, 1)
    zero(model.head, 0)
    with pytest.raises(lossmith.UnsupportedError, match=r"head: its output goes to several places"):
        lossmith.remove_zero_channels(model)
    result = lossmith.remove_zero_channels(model, strict=False)
    assert result.removed == {"conv": 1}
    assert set(result.kept) == {"head"}
    x = torch.randn(3, 1, 6, 6, dtype=F64)
    torch.testing.assert_close(result.model(x), model(x), rtol=1e-12, atol=1e-12)


SHARED = nn.Linear(4, 4)


@pytest.mark.parametrize(
    ("layers", "says"),
    [
        ((nn.Linear(4, 4), nn.LayerNorm(4), nn.Linear(4, 2)), "may mix channels"),
        ((nn.Linear(4, 4), nn.Softmax(1), nn.Linear(4, 2)), "may mix channels"),
        ((nn.Linear(4, 4), SHARED, nn.ReLU(), SHARED, nn.Linear(4, 2)), "more than once"),
        ((nn.Conv1d(4, 4, 1), nn.Conv1d(4, 4, 1, groups=2), nn.Conv1d(4, 2, 1)), "grouped"),
        ((nn.Linear(4, 4), nn.Flatten(), nn.Linear(12, 2)), "another dimension"),
        ((nn.Conv1d(4, 4, 1), nn.Linear(4, 2)), "another dimension"),
        ((nn.utils.parametrizations.weight_norm(nn.Linear(4, 4)), nn.Linear(4, 2)), "computed"),
    ],
)
def test_what_cannot_be_cut_is_refused(layers, says):
    model = nn.Sequential(*layers)
    if says == "computed":
        model[0].parametrizations.weight.original0.data[0] = 0
    else:
        zero(model[0], 0)
    with pytest.raises(lossmith.UnsupportedError, match=says):
        lossmith.remove_zero_channels(model)


def test_what_cannot_be_traced_is_refused():
    class Branching(nn.Module):
        def forward(self, x):
            return x if x.sum() > 0 else -x

    with pytest.raises(lossmith.UnsupportedError, match="cannot trace Branching"):
        lossmith.remove_zero_channels(Branching())


def test_the_report_counts():
    model = nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3), nn.Flatten(), nn.Linear(12, 2))
    with torch.no_grad():
        model[0].weight[1] = 0
        model[0].weight[:, 0] = 0
        model[3].weight[0, :5] = 0
    report = lossmith.sparsity(model)
    conv, linear = report.parameters
    assert (conv.zeros, conv.total, conv.rows, conv.columns) == (9 * 4, 54, 1, 1)
    assert (linear.zeros, linear.rows, linear.columns) == (5, 0, 0)
    assert report.share == pytest.approx(41 / 78)
    assert "3×2×3×3" in str(report)
    assert str(report).splitlines()[-1].split() == ["all", "41", "78", "52.6%"]
