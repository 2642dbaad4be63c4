"""Train a network whose useless channels become exactly zero, then take them out.

Run: python examples/sparse_network.py
"""

import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn

import lossmith

torch.manual_seed(0)
data, labels = load_digits(return_X_y=True)
parts = train_test_split(data / 16.0, labels, test_size=0.3, random_state=0)
x, x_test = (torch.tensor(p, dtype=torch.float32).view(-1, 1, 8, 8) for p in parts[:2])
y, y_test = (torch.tensor(p) for p in parts[2:])

model = nn.Sequential(
    *(nn.Conv2d(1, 32, 3), nn.BatchNorm2d(32), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten()),
    *(nn.Linear(32 * 9, 128), nn.ReLU(), nn.Linear(128, 10)),
)
loss = lossmith.CrossEntropy()
optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, nesterov=True)
schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 30)
# Whole channels of the inner layers, and single weights of the last.
penalties = {
    lossmith.GroupLasso("channels", only=["0.weight", "5.weight"]): 2e-3,
    lossmith.L1Penalty(only="7.weight"): 1e-3,
}
prox = lossmith.ProximalStep(optimizer, penalties, model)  # not in the loss as well
for _ in range(30):
    for rows in torch.randperm(len(x)).split(64):
        optimizer.zero_grad()
        loss(model(x[rows]), y[rows]).backward()
        optimizer.step()
        prox.step()
    schedule.step()

model.eval()
print(lossmith.sparsity(model))
result = lossmith.remove_zero_channels(model)
small = result.model
print("channels removed:", result.removed)

with torch.no_grad():
    before, after = model(x_test), small(x_test)
sizes = [sum(p.numel() for p in m.parameters()) for m in (model, small)]
print(f"parameters: {sizes[0]} -> {sizes[1]}")
print(f"largest difference of an output: {(before - after).abs().max():.1e}")
for name, logits in (("before", before), ("after", after)):
    print(f"accuracy {name}: {(logits.argmax(1) == y_test).float().mean():.3f}")
if not sizes[1] < sizes[0] / 2 or not torch.allclose(before, after, atol=1e-4):
    raise SystemExit("the network should be less than half its size, with the same output")
