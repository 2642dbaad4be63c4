"""Gradient accumulation done right: a mean over tokens, however the micro-batches are cut.

A small language model of one layer learns which token follows which. Sequences differ in length;
padding carries ignore_index. Means of micro-batches weigh a token of a short sequence more.
"""

import torch

import lossmith

VOCABULARY, PAD = 12, -100
LENGTHS = (1, 2, 30, 1, 25, 2, 1, 28)


def sequences():
    """Each token is followed by its successor; in short sequences, by its predecessor."""
    torch.manual_seed(0)
    found = []
    for length in LENGTHS:
        step = 1 if length > 10 else -1
        tokens = (torch.randint(VOCABULARY, (1,)) + step * torch.arange(length + 1)) % VOCABULARY
        inputs, targets = torch.zeros(1, 30, dtype=torch.long), torch.full((1, 30), PAD)
        inputs[0, :length], targets[0, :length] = tokens[:-1], tokens[1:]
        found.append((inputs, targets))
    return found


def train(road, batches, steps=60):
    torch.manual_seed(1)
    model = torch.nn.Embedding(VOCABULARY, VOCABULARY)
    criterion = lossmith.CrossEntropy(ignore_index=PAD)
    optimizer = torch.optim.SGD(model.parameters(), lr=5.0)
    for _ in range(steps):
        if road == "totals":
            mass = lossmith.global_masses(sum(lossmith.mass_of(criterion, y) for _, y in batches))
        for x, y in lossmith.micro_batches(model, batches):
            logits = model(x).movedim(2, 1)  # classes on dimension 1
            if road == "totals":
                loss = lossmith.share_of_mean(criterion.total(logits, y), mass, model)
            else:
                loss = criterion(logits, y) / len(batches)
            loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    return model.weight.detach()


def main():
    batches = sequences()
    joined = [tuple(torch.cat(parts) for parts in zip(*batches, strict=True))]
    truth = train("totals", joined)
    for road in ("totals", "means"):
        weight = train(road, batches)
        print(f"{road} of 8 micro-batches: off one big batch by {(weight - truth).abs().max():.1e}")


if __name__ == "__main__":
    main()
