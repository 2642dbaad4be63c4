"""A batch and a sum that take part in several tests of objectives."""

import torch

import lossmith

F64 = torch.float64


def squares(parameters):
    """Ridge, as somebody would write it."""
    return sum((p * p).sum() for p in parameters.parameters())


def batch(rows=7, seed=0, dtype=F64):
    """Inputs of a network with two heads."""
    g = torch.Generator().manual_seed(seed)
    return {
        "x": torch.randn(rows, 3, generator=g, dtype=dtype),
        "target": torch.randint(0, 5, (rows,), generator=g),
        "goal": torch.randn(rows, 2, generator=g, dtype=dtype),
    }


class Net(torch.nn.Module):
    """Logits of five classes, and two numbers, from three features."""

    def __init__(self, dtype=F64, seed=1):
        super().__init__()
        torch.manual_seed(seed)
        self.body = torch.nn.Linear(3, 3, dtype=dtype)
        self.classes = torch.nn.Linear(3, 5, dtype=dtype)
        self.numbers = torch.nn.Linear(3, 2, dtype=dtype)

    def forward(self, x):
        features = self.body(x).tanh()
        return {
            "features": features,
            "logits": self.classes(features),
            "prediction": self.numbers(features),
        }


def everything(net, given):
    """All inputs of `full` in one dict."""
    return net(given["x"]) | {"target": given["target"], "goal": given["goal"], "parameters": net}


def full():
    """Every kind of term and weight at once."""
    center = lossmith.CenterLoss(5, 3, update="gradient").double()
    with torch.no_grad():
        center.centers.copy_(torch.linspace(-1, 1, 15).view(5, 3))
    objective = (
        lossmith.CrossEntropy(label_smoothing=0.1)
        + 0.3 * center
        - lossmith.LinearRamp(0.0, 0.8, steps=4) * lossmith.L2().on(target="goal")
        + lossmith.Uncertainty("regression", 0.4) * lossmith.Huber(delta=0.5).on(target="goal")
        + 0.01 * lossmith.Objective(ridge=squares)
    )
    objective.advance(3)
    return objective.double()


def by_hand(objective, net, given):
    """The same sum in torch's own operations: value, components."""
    F = torch.nn.functional
    out = net(given["x"])
    centers = objective.center_loss.centers
    s = objective.weighting.huber.log_variance
    parts = {
        "cross_entropy": F.cross_entropy(out["logits"], given["target"], label_smoothing=0.1),
        "center_loss": (out["features"] - centers[given["target"]]).square().sum(1).mean() / 2,
        "l2": F.mse_loss(out["prediction"], given["goal"]),
        "huber": F.huber_loss(out["prediction"], given["goal"], delta=0.5),
        "ridge": sum(p.square().sum() for p in net.parameters()),
    }
    value = parts["cross_entropy"] + 0.3 * parts["center_loss"] - 0.6 * parts["l2"]
    value = value + torch.exp(-s) * parts["huber"] / 2 + s / 2 + 0.01 * parts["ridge"]
    return value, parts
