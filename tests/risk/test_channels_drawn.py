"""Networks that are drawn, of layers with all their options: output or channel stays."""

import random
from collections.abc import Iterator

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.utils import prune

import lossmith

F64 = torch.float64


class Does(nn.Module):
    """A function in a forward that torch.fx traces."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


class Around(nn.Module):
    """A residual connection, or two branches that meet."""

    def __init__(self, inner, cat):
        super().__init__()
        self.inner, self.cat = inner, cat

    def forward(self, x):
        return torch.cat([x, self.inner(x)], 1) if self.cat else x + self.inner(x)


FUNCTIONS = [
    F.relu, F.leaky_relu, F.softplus, F.hardswish, torch.sigmoid, lambda x: F.elu(x, 0.5, True),
    lambda x: F.gelu(x, approximate="tanh"), lambda x: x.relu(), lambda x: x.contiguous().tanh(),
    lambda x: F.softmax(x, 1), lambda x: F.normalize(x, dim=1), lambda x: 2 * x + 1,
    lambda x: x / x.size(1), lambda x: x / x.shape[1] ** 0.5, lambda x: x * x.size(-1),
    lambda x: x / x.size(0), lambda x: F.hardtanh(x, 0.1, 2.0), lambda x: x.transpose(1, -1),
    lambda x: x.flatten(0, 1), lambda x: F.threshold(x, 0.3, 0.2),
    lambda x: F.dropout(x, 0.5, False),
    lambda x: x.view(x.size(0), -1), lambda x: x.reshape(x.shape[0], -1), lambda x: x.mean(1, True),
    lambda x: x.view(x.size(1), -1), lambda x: torch.flatten(x, end_dim=1), lambda x: x - x.mean(),
    lambda x: torch.flatten(x, start_dim=1), lambda x: x.flatten(1), lambda x: x.sum(-1),
    lambda x: F.max_pool1d(x, 2), lambda x: F.max_pool2d(x, 2), lambda x: F.max_pool2d(x, 3, 1, 1),
    lambda x: F.adaptive_avg_pool1d(x, 2), lambda x: F.adaptive_avg_pool2d(x, 1),
    lambda x: F.avg_pool2d(x, 2, divisor_override=3), lambda x: F.pad(x, (1, 1)),
    lambda x: F.max_pool2d(x, 2, 4, 1, 5), lambda x: F.interpolate(x, scale_factor=2),
]  # fmt: skip
ACTIVATIONS = [
    nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.ELU, nn.SELU, nn.CELU, nn.GELU, nn.SiLU, nn.Mish, nn.Tanh,
    nn.Sigmoid, nn.Softplus, nn.Softsign, nn.Hardtanh, nn.Hardswish, nn.Hardsigmoid, nn.LogSigmoid,
    nn.Hardshrink, nn.Softshrink, nn.Tanhshrink, nn.PReLU, nn.RReLU,
    lambda: nn.Threshold(0.2, 0.7), lambda: nn.ReLU(inplace=True), lambda: nn.Softmax(1),
    lambda: nn.GLU(1), lambda: nn.Softmin(1), lambda: nn.ELU(0.3), lambda: nn.Softplus(2.0),
]  # fmt: skip


class Network:
    def __init__(self, seed):
        self.draw = random.Random(seed)
        torch.manual_seed(seed)
        self.d = self.pick(0, 1, 1, 2, 2, 2, 2, 3)
        size = {0: 6, 1: 12, 2: 9, 3: 6}[self.d]
        shape = (2, 3, *(size,) * self.d) if self.d else self.pick((4, 6), (4, 6), (2, 3, 6))
        self.x = torch.randn(shape, dtype=F64)
        layers, z = self.joined([], self.layer(self.x), self.x)
        for _ in range(self.pick(1, 1, 2, 3)):
            for _ in range(self.pick(0, 1, 1, 2, 3)):
                layers, z = self.joined(layers, self.between(z), z)
            layers, z = self.joined(layers, self.layer(z), z)
        if self.chance(0.3):
            layers, z = self.joined(layers, self.between(z), z)
        if self.chance(0.9):
            layers, z = self.joined(layers, self.flat(z), z)
        layers, z = self.joined(layers, nn.Linear(z.shape[-1], 2), z)
        self.model = nn.Sequential(*layers).double().eval()
        self.settle()

    def pick(self, *options):
        return self.draw.choice(options)

    def chance(self, share):
        return self.draw.random() < share

    def joined(self, layers, made, z):
        """What fits is taken."""
        try:
            with torch.no_grad():
                made = made.double().eval()
                new = made(z.clone())
            if new.numel() and new.numel() < 20_000 and new.dim() > 1 and new.isfinite().all():
                return [*layers, made], new
        except (RuntimeError, ValueError, IndexError, TypeError, UserWarning):
            pass
        return layers, z

    def flat(self, z):
        return self.pick(
            nn.Flatten(), nn.Flatten(), Does(lambda x: x.view(x.size(0), -1)),
            Does(lambda x: torch.flatten(x, 1)), Does(lambda x: x.reshape(x.shape[0], -1)),
            Does(lambda x: torch.flatten(x, end_dim=1)), Does(lambda x: x.view(x.size(1), -1)),
        )  # fmt: skip

    def layer(self, z):
        pick, width = self.pick, self.pick(3, 4, 5)
        if not self.d or z.dim() != self.d + 2 or self.chance(0.05):
            return nn.Linear(z.shape[-1], width, bias=self.chance(0.7))
        kind = getattr(nn, f"Conv{self.d}d")
        if self.chance(0.05):
            return getattr(nn, f"ConvTranspose{self.d}d")(z.shape[1], width, pick(1, 2))
        if self.chance(0.05):
            return kind(z.shape[1], z.shape[1], 2, groups=z.shape[1])
        mode = pick("zeros", "zeros", "reflect", "replicate", "circular")
        return kind(
            z.shape[1], width, pick(1, 2, 3), stride=pick(1, 1, 2), dilation=pick(1, 1, 2),
            padding=pick(0, 0, 1), padding_mode=mode, bias=self.chance(0.7),
        )  # fmt: skip

    def between(self, z):
        pick, channels, d = self.pick, z.shape[1], self.pick(self.d, self.d, self.d, 1, 2) or 1
        kind = pick(
            *("activation",) * 4,
            *("function",) * 3,
            *("avg",) * 3,
            "norm",
            "max",
            "other",
            "around",
        )
        if kind == "activation":
            return self.draw.choice(ACTIVATIONS)()
        if kind == "function":
            return Does(self.draw.choice(FUNCTIONS))
        if kind == "norm":
            if not self.d and z.dim() > 2:
                return nn.LayerNorm(z.shape[-1])  # BatchNorm1d there means rows: see the docs
            norm = getattr(nn, f"BatchNorm{d}d")
            return pick(
                norm(channels), norm(channels, affine=False), nn.GroupNorm(1, channels),
                norm(channels, track_running_stats=False), nn.LayerNorm(z.shape[-1]),
                getattr(nn, f"InstanceNorm{d}d")(channels), nn.LocalResponseNorm(2),
            )  # fmt: skip
        padding, ceil = pick(0, 0, 1), self.chance(0.4)
        if kind == "avg":
            own = {} if d == 1 or self.chance(0.5) else {"divisor_override": pick(3, 4)}
            pool = getattr(nn, f"AvgPool{d}d")
            return pool(pick(2, 3), pick(1, 2), padding, ceil, self.chance(0.5), **own)
        if kind == "max":
            pool = getattr(nn, f"MaxPool{d}d")
            return pool(pick(2, 3), pick(1, 2, 3), padding, pick(1, 1, 2, 5), ceil_mode=ceil)
        if kind == "around":
            inner = nn.Sequential(self.layer(z), nn.Tanh())
            return Around(inner, self.chance(0.5))
        return pick(
            getattr(nn, f"AdaptiveAvgPool{d}d")(pick(1, 2)), nn.Dropout(0.5), nn.Identity(),
            getattr(nn, f"AdaptiveMaxPool{d}d")(pick(1, 2)), nn.AlphaDropout(0.5), nn.Dropout2d(),
            nn.LPPool1d(2, 2) if d == 1 else nn.LPPool2d(2, 2), nn.Flatten(), nn.Flatten(2),
            nn.Upsample(scale_factor=2, mode=pick("nearest", "nearest", "linear", "bilinear")),
            nn.ZeroPad2d(1), nn.ReflectionPad1d(1), nn.ConstantPad2d(1, 0.3), nn.PixelShuffle(2),
            nn.Flatten(0, 1), nn.Unflatten(0, (1, -1)), nn.FeatureAlphaDropout(),
        )  # fmt: skip

    @torch.no_grad()
    def settle(self):
        """Numbers for everything, and zeros where channels begin and end."""
        for module in self.model.modules():
            for name, tensor in (*module.named_parameters(recurse=False),
                                 *module.named_buffers(recurse=False)):  # fmt: skip
                if tensor.is_floating_point():
                    tensor.uniform_(0.5, 2.0) if name == "running_var" else tensor.normal_()
            if type(module).__name__.startswith(("Linear", "Conv")):
                for dim, share in ((0, 0.4), (1, 0.1)):
                    for i in range(module.weight.shape[dim]):
                        if self.chance(share):
                            module.weight.select(dim, i).zero_()
                if module.bias is not None:
                    for i in range(len(module.bias)):
                        module.bias[i] = self.pick(0.0, 0.25, 0.5, -4.0, 1.0, module.bias[i].item())


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Threads cost these small networks more than they bring."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("start", range(4))
def test_the_output_stays_or_the_channel_does(start):
    removed = 0
    for seed in range(60 * start, 60 * start + 60):
        network = Network(seed)
        model, x = network.model, network.x
        with torch.no_grad():
            before = model(x.clone())
            result = lossmith.remove_zero_channels(model, strict=False)
            after = result.model(x.clone())
        said = f"seed {seed}: {model}\nremoved {result.removed}, kept {result.kept}"
        assert after.shape == before.shape, said
        scale = before.abs().max().clamp(min=1.0)
        assert (after - before).abs().max() <= 1e-10 * scale, said
        removed += sum(result.removed.values())
    assert removed > 50, "the networks are too odd to test anything"


class Folded(nn.Module):
    """Frames of videos: their batch is not that of the videos."""

    def __init__(self):
        super().__init__()
        self.conv, self.head = nn.Conv1d(3, 4, 3), nn.Linear(2 * 4 * 6, 2)

    def forward(self, x):
        z = self.conv(x.flatten(0, 1))
        return self.head(z.view(x.size(0), -1))


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.into, self.out = nn.Linear(3, 4), nn.Linear(4, 2)

    def forward(self, x):
        return self.out(torch.tanh(self.into(x))), F.linear(x, self.into.weight)


class Auxiliary(nn.Module):
    """In training the hidden channels have a reader more; in evaluation dropout goes on."""

    def __init__(self, aux, drops):
        super().__init__()
        self.into, self.out, self.aux = nn.Linear(3, 4), nn.Linear(4, 2), nn.Linear(4, 2)
        self.has, self.drops = aux, drops

    def forward(self, x):
        z = self.into(x)
        if self.drops:
            return self.out(F.dropout(z, 0.5, training=self.drops == "always" or self.training))
        if self.has and self.training:
            return self.out(z) + self.aux(z)
        return self.out(z)


def pruned(layer):
    """By torch's pruning, as it is after an evaluation."""
    with torch.no_grad():
        return prune.ln_structured(layer, "weight", 0.5, 2, 0)


def hooked(layer):
    layer.register_forward_hook(lambda module, given, out: out.cumsum(1))
    return layer


# The model, the shape of its input, and what is said of its first layer's channels, or None.
BROTHERS = {
    "divisor": (
        lambda: (nn.Conv2d(3, 4, 1), nn.AvgPool2d(2, divisor_override=3), nn.Conv2d(4, 2, 1)),
        (2, 3, 6, 6),
        "pads with zeros",
    ),
    "0 after a border": (
        lambda: (nn.Conv2d(3, 4, 1), nn.AvgPool2d(2, 1, 1), nn.Hardswish(), nn.Conv2d(4, 2, 1)),
        (2, 3, 6, 6),
        "pads with zeros",
    ),
    "not 0 after a border": (
        lambda: (
            nn.Conv2d(3, 4, 1, bias=False),
            nn.AvgPool2d(2, 1, 1),
            nn.Sigmoid(),
            nn.Conv2d(4, 2, 1),
        ),
        (2, 3, 6, 6),
        None,
    ),
    "a count of channels": (
        lambda: (nn.Linear(3, 4), Does(lambda x: x / x.size(1)), nn.Linear(4, 2)),
        (5, 3),
        "several places",
    ),
    "the batch flattened": (
        lambda: (nn.Conv1d(3, 4, 1), Does(lambda x: torch.flatten(x, end_dim=1)), nn.Linear(8, 2)),
        (2, 3, 8),
        "mix channels",
    ),
    "rows by another size": (
        lambda: (nn.Conv1d(3, 4, 1), Does(lambda x: x.view(x.size(1), -1)), nn.Linear(32, 2)),
        (4, 3, 8),
        "several places",
    ),
    "pooled over channels": (
        lambda: (
            nn.Conv1d(3, 4, 1),
            nn.MaxPool2d(1, 1),
            nn.MaxPool2d((2, 1), 1, (1, 0)),
            nn.Conv1d(5, 2, 1),
        ),
        (2, 3, 8),
        "mix channels",
    ),
    "frames of videos": (lambda: Folded(), (2, 2, 3, 8), "mix channels"),
    "a weight used by itself": (lambda: Tied(), (5, 3), "more than once"),
    "another reader in training": (lambda: Auxiliary(True, ""), (5, 3), "several places"),
    "dropout in training": (lambda: Auxiliary(False, "training"), (5, 3), None),
    "dropout always": (lambda: Auxiliary(False, "always"), (5, 3), "pads with zeros"),
    "pruned": (lambda: (pruned(nn.Linear(3, 4)), nn.Linear(4, 2)), (5, 3), "a hook of 0"),
    "hooked": (lambda: (hooked(nn.Linear(3, 4)), nn.Linear(4, 2)), (5, 3), "a hook of 0"),
    "hooked between": (
        lambda: (nn.Linear(3, 4), hooked(nn.ReLU()), nn.Linear(4, 2)),
        (5, 3),
        "a hook of 1",
    ),
    "not divisible": (
        lambda: (nn.Conv1d(3, 4, 1), nn.Flatten(2), nn.Flatten(0, 1), nn.Linear(8, 2)),
        (2, 3, 8),
        "mix channels",
    ),
}


@pytest.mark.parametrize("name", BROTHERS)
def test_what_was_taken_for_a_constant(name):
    make, shape, says = BROTHERS[name]
    torch.manual_seed(0)
    made = make()
    model = (nn.Sequential(*made) if isinstance(made, tuple) else made).double().train()
    first = next(m for m in model.modules() if isinstance(m, nn.Linear | nn.Conv1d | nn.Conv2d))
    with torch.no_grad():
        weight = getattr(first, "weight_orig", first.weight)
        weight[1:3] = 0
        if first.bias is not None:
            first.bias.copy_(torch.tensor([0.5, 1.0, -4.0, 2.0]))
    result = lossmith.remove_zero_channels(model, strict=False)
    (path,) = [n for n, m in model.named_modules() if m is first]
    assert all(m.training for m in model.modules())
    assert says is None or says in result.kept[path]
    assert says is not None or result.removed == {path: 2}
    if name == "dropout always":
        return
    x = torch.randn(shape, dtype=F64)
    before, after = model.eval()(x), result.model.eval()(x)
    torch.testing.assert_close(after, before, rtol=1e-12, atol=1e-12)
    result.model.train()(x)


def test_what_cannot_be_copied_says_so():
    model = nn.Sequential(prune.ln_structured(nn.Linear(3, 4), "weight", 0.5, 2, 0))
    with pytest.raises(lossmith.UnsupportedError, match="prune"):
        lossmith.remove_zero_channels(model)
