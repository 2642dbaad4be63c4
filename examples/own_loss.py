"""A loss of one's own: written as a formula, drawn, and trained on data with wild targets.

Beyond c the loss grows like a square root, so an outlier pulls less the farther off it lies.
"""

import numpy as np
import torch
from sklearn.datasets import load_diabetes
from torch import nn

import lossmith


@lossmith.residual
def root(u, c: lossmith.Positive = 1.0):
    """Squared error near zero; beyond c a square root, with the same value and slope at c."""
    where = lossmith.primitives.where
    size = where(abs(u) <= c, c, abs(u))  # so that the root is taken of what is large only
    return where(abs(u) <= c, u**2 / 2, 2 * c * lossmith.primitives.sqrt(c * size) - 3 * c**2 / 2)


# Slope, curvature, kernel and Module are derived. Here are the first two.
axes = lossmith.plot(["l2", "huber", root], u=np.linspace(-6, 6, 601), orders=(0, 1))
axes[0].set_ylim(0, 8)
axes[0].figure.savefig("own_loss.png", dpi=120)

columns, truth = (torch.tensor(a, dtype=torch.float32) for a in load_diabetes(return_X_y=True))
columns = (columns - columns.mean(0)) / columns.std(0)
truth = (truth - truth.mean()) / truth.std()
train, test = torch.arange(len(truth)).split([300, 142])

generator = torch.Generator().manual_seed(0)
given = truth[train].clone()
wild = torch.randperm(300, generator=generator)[:45]
given[wild] += 20  # 15 % of the training targets are far too high

for loss in (lossmith.L2(), lossmith.Huber(), root.Module(c=1.0)):
    model = nn.Linear(columns.shape[1], 1)
    nn.init.zeros_(model.weight)
    nn.init.zeros_(model.bias)
    optimizer = torch.optim.LBFGS(model.parameters(), max_iter=100, line_search_fn="strong_wolfe")

    def closure(loss=loss, model=model, optimizer=optimizer):
        """One step of the training."""
        optimizer.zero_grad()
        value = loss(model(columns[train]).squeeze(1), given)
        value.backward()
        return value

    optimizer.step(closure)
    error = (model(columns[test]).squeeze(1) - truth[test]).abs().mean()
    print(f"{type(loss).__name__:6} mean absolute error on true targets {error:.3f}")
