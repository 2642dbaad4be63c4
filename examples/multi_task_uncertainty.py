"""Two tasks with different units, one network: uncertainty weights find the balance.

From ten measurements of a patient (scikit-learn's diabetes data): how far the disease will have
progressed, a regression in the data's own units (25 to 346), and whether the blood sugar is above
average, a classification. As plain sums the first loss is thousands of times the second.
"""

import math

import torch
from sklearn.datasets import load_diabetes
from sklearn.preprocessing import StandardScaler

import lossmith

data = load_diabetes()
sugar = torch.tensor(data.data[:, 9] > 0).long()
x = torch.tensor(StandardScaler().fit_transform(data.data[:, :9]), dtype=torch.float32)
progress = torch.tensor(data.target, dtype=torch.float32)
train, test = slice(0, 342), slice(342, None)


def fit(unit: float) -> tuple[lossmith.Objective, float, float]:
    """Train with the progression measured in another unit; test errors come back."""
    torch.manual_seed(0)
    uncertain = lossmith.Uncertainty
    y, centre = unit * progress, unit * progress[train].mean()
    scale = unit * progress[train].std()
    spread = 2 * math.log(scale)  # where s begins: the log-variance of the target itself
    objective = (
        uncertain("regression", spread) * lossmith.L2().on(target="progress").named("progress")
        + uncertain() * lossmith.CrossEntropy().on(target="sugar").named("sugar")
        + 5e-2 * lossmith.L2Penalty()
    )
    body = torch.nn.Sequential(torch.nn.Linear(9, 8), torch.nn.Tanh(), torch.nn.Linear(8, 3))
    optimizer = torch.optim.Adam(body.parameters(), lr=0.01)
    optimizer.add_param_group({"params": objective.parameters()})  # the log-variances
    for _ in range(500):
        out = body(x[train])
        loss = objective(
            prediction=centre + scale * out[:, 0], progress=y[train],
            logits=out[:, 1:], sugar=sugar[train], parameters=body,
        )  # fmt: skip
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        out = body(x[test])
        error = (centre + scale * out[:, 0] - y[test]).square().mean().sqrt() / unit
        return objective, error.item(), (out[:, 1:].argmax(1) == sugar[test]).float().mean().item()


for unit in (1.0, 0.01):
    objective, error, right = fit(unit)
    weights = {name: f"{float(w):.3g}" for name, w in objective.weights().items()}
    print(f"unit {unit:g}: weights {weights}, error {error:.1f}, sugar right {right:.0%}")
