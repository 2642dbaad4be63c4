"""Training runs that are drawn: skipped, copied, saved, thawed; weights shrink as by hand."""

import copy
import io
import pickle
import random
import warnings

import numpy as np
import pytest
import torch
from torch import nn, optim

import lossmith

L1, L2 = 0.02, 0.3
SHAPES = {"a": (2, 3), "b": (1, 2), "frozen": (2, 2), "late": (3, 1)}

# An optimiser of torch, its options, and those of its implementations that a CPU has.
KINDS = {
    "SGD": (optim.SGD, [{}, {"weight_decay": 0.1}, {"momentum": 0.8},
                        {"momentum": 0.8, "dampening": 0.3},
                        {"momentum": 0.7, "nesterov": True}]),
    "Adam": (optim.Adam, [{}, {"amsgrad": True}, {"betas": (0.5, 0.7), "eps": 1e-3}]),
    "AdamW": (optim.AdamW, [{}, {"weight_decay": 0.2}]),
    "RMSprop": (optim.RMSprop, [{}, {"momentum": 0.6}, {"centered": True}]),
    "Adagrad": (optim.Adagrad, [{}, {"lr_decay": 0.1}]),
}  # fmt: skip
WAYS = {
    "SGD": ("foreach", "fused"),
    "Adam": ("foreach", "fused"),
    "AdamW": ("foreach", "fused"),
    "RMSprop": ("foreach",),
    "Adagrad": ("foreach", "fused"),
}


class Weight:
    """One parameter by hand: its value, what the optimiser remembers, and how far it has moved."""

    def __init__(self, value):
        self.value = value.astype(np.float64)
        self.lr, self.tau, self.count = None, 0.0, 0  # lr None: no optimiser has it
        self.open, self.memory = True, {}

    def kept(self, name, decay, new, gain):
        self.memory[name] = decay * self.memory.get(name, np.zeros(())) + gain * new
        return self.memory[name]

    def move(self, kind, o, g):
        """The optimiser's step, and what it would have moved by if every gradient were 1."""
        self.count, lr, w, t = self.count + 1, self.lr, self.value, self.count + 1
        if kind == "AdamW":
            w = w * (1 - lr * o.get("weight_decay", 0.01))
        elif kind == "SGD":
            g = g + o.get("weight_decay", 0.0) * w
        if kind == "SGD":
            step, pull, mu = g, np.ones(()), o.get("momentum", 0.0)
            if mu:
                gain = 1.0 if t == 1 else 1 - o.get("dampening", 0.0)
                step, pull = self.kept("m", mu, g, gain), self.kept("one", mu, 1.0, gain)
                if o.get("nesterov"):
                    step, pull = g + mu * step, 1 + mu * pull
            self.value, scale = w - lr * step, np.ones_like(g)
        elif kind in ("Adam", "AdamW"):
            b1, b2 = o.get("betas", (0.9, 0.999))
            m, v = self.kept("m", b1, g, 1 - b1), self.kept("v", b2, g * g, 1 - b2)
            if o.get("amsgrad"):
                v = self.memory["top"] = np.maximum(v, self.memory.get("top", 0.0))
            scale = 1 / (np.sqrt(v / (1 - b2**t)) + o.get("eps", 1e-8))
            self.value, pull = w - lr * scale * m / (1 - b1**t), 1.0
        elif kind == "RMSprop":
            v, pull = self.kept("v", 0.99, g * g, 0.01), 1.0
            if o.get("centered"):
                v = v - self.kept("mean", 0.99, g, 0.01) ** 2
            scale = 1 / (np.sqrt(v) + 1e-8)
            step = scale * g
            if mu := o.get("momentum"):
                step, pull = self.kept("m", mu, step, 1.0), self.kept("one", mu, 1.0, 1.0)
            self.value = w - lr * step
        else:
            lr = lr / (1 + (t - 1) * o.get("lr_decay", 0.0))
            scale = 1 / (np.sqrt(self.kept("v", 1.0, g * g, 1.0)) + 1e-10)
            self.value, pull = w - lr * scale * g, 1.0
        self.tau = self.tau + lr * scale * pull

    def shrink(self):
        """argmin ½(u - w)²/τ + L2·u²/2 + L1·|u|."""
        w, t = self.value, self.tau
        self.value = np.sign(w) * np.maximum(np.abs(w) - t * L1, 0) / (1 + t * L2)
        self.tau = 0.0


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        for name, shape in SHAPES.items():
            setattr(self, name, nn.Linear(shape[1], shape[0], bias=False, dtype=torch.float64))
        self.frozen.weight.requires_grad_(False)

    def weight(self, name):
        return getattr(self, name).weight


class Run:
    """A run of what a seed draws; a failure shows the events that led to it."""

    def __init__(self, seed):
        self.draw, self.rng, self.events = random.Random(seed), np.random.default_rng(seed), []
        self.kind = self.draw.choice(sorted(KINDS))
        self.options = self.draw.choice(KINDS[self.kind][1])
        self.way = self.draw.choice(("plain", *WAYS[self.kind]))
        self.both = self.chance(0.3)
        torch.manual_seed(seed)
        self.net = Net()
        self.hand = {n: Weight(self.net.weight(n).detach().numpy().copy()) for n in SHAPES}
        self.hand["frozen"].open = False
        # A group each: a fused SGD makes its momentum buffers for whole groups only.
        groups = [self.group(n) for n in ("a", "b", "frozen")]
        for n in ("a", "b", "frozen"):
            self.hand[n].lr = 0.1
        self.optimizer = self.made(groups)
        self.prox = self.followed()
        self.scaler = torch.amp.GradScaler("cpu", init_scale=4.0, growth_interval=3)
        self.scaler.scale(torch.zeros(()))

    def group(self, *names):
        return {"params": [self.net.weight(n) for n in names]}

    def made(self, groups):
        way = {} if self.way == "plain" else {self.way: True}
        return KINDS[self.kind][0](groups, lr=0.1, **self.options, **way)

    def followed(self):
        """L1 after L2 is their sum; two ProximalSteps do not disturb each other."""
        l1, l2 = lossmith.L1Penalty(), lossmith.L2Penalty()
        if not self.both:
            return (lossmith.ProximalStep(self.optimizer, {l1: L1, l2: L2}, self.net),)
        some = {"only": ["a", "late", "frozen"]}
        rest = {"skip": ["a", "late", "frozen"]}
        return tuple(
            lossmith.ProximalStep(
                self.optimizer,
                {lossmith.L1Penalty(**which): L1, lossmith.L2Penalty(**which): L2},
                self.net,
            )
            for which in (some, rest)
        )

    def first_with_momentum(self):
        """Where a fused SGD skips its first step, torch leaves its momentum as it found it."""
        moving = [w for w in self.hand.values() if w.lr is not None and w.open]
        return self.way == "fused" and self.options.get("momentum") and min(
            w.count for w in moving
        ) == 0  # fmt: skip

    def chance(self, share):
        return self.draw.random() < share

    def go(self, events):
        others = (
            *(self.copied, self.resumed, self.frozen_or_thawed, self.thawed),
            *(self.group_added, self.scheduled),
        )
        for _ in range(events):
            event = self.train if self.chance(0.6) else self.draw.choice(others)
            self.events.append(event.__name__)
            event()
            for name, hand in self.hand.items():
                np.testing.assert_allclose(
                    self.net.weight(name).detach().numpy(), hand.value, rtol=1e-10, atol=1e-12,
                    err_msg=f"{name}: {self.kind}, {self.options}, {self.way}, {self.events}",
                )  # fmt: skip

    def shrink(self):
        for prox in self.prox:
            prox.step()
        for hand in self.hand.values():
            hand.shrink()

    def train(self):
        """One or two steps, with a gradient scaler or a closure, before the proximal step."""
        rounds, scaled = self.draw.choice((1, 1, 2)), self.chance(0.5)
        closure = not scaled and self.chance(0.3)
        drop = self.draw.choice(("", "a", "b"))
        bad = scaled and self.chance(0.4) and not self.first_with_momentum()
        for _ in range(rounds):
            scale = self.scaler.get_scale() if scaled else 1.0
            self.optimizer.zero_grad()
            given = {}
            for name, hand in self.hand.items():
                if hand.lr is not None and hand.open and name not in drop:
                    given[name] = self.rng.normal(size=SHAPES[name])

            def assign(given=given, scale=scale):
                for name, g in given.items():
                    self.net.weight(name).grad = torch.tensor(g * scale)
                return 0.0

            if closure:
                self.optimizer.step(assign)
            else:
                assign()
                if bad and given:
                    self.net.weight(next(iter(given))).grad[0, 0] = float("inf")
                if scaled and given:
                    self.scaler.step(self.optimizer)
                    self.scaler.update()
                elif not scaled:
                    self.optimizer.step()
            if not bad:
                for name, g in given.items():
                    self.hand[name].move(self.kind, self.options, g)
        if self.chance(0.8):
            self.shrink()

    def copied(self):
        """All in one, in any order."""
        how = self.draw.choice(("deepcopy", "pickle", "save"))
        order = self.draw.sample(range(3), 3)
        parts = [self.net, self.optimizer, self.prox]
        together = [parts[i] for i in order]
        if how == "deepcopy":
            new = copy.deepcopy(together)
        elif how == "pickle":
            new = pickle.loads(pickle.dumps(together))
        else:
            file = io.BytesIO()
            torch.save(together, file)
            file.seek(0)
            new = torch.load(file, weights_only=False)
        self.net, self.optimizer, self.prox = (new[order.index(i)] for i in range(3))

    def resumed(self):
        """A new process: everything is made anew, and the states are loaded."""
        self.shrink()
        net, old = self.net, self.optimizer
        self.net = Net()
        names = ["a", "b", "frozen"] + ["late"] * (self.hand["late"].lr is not None)
        self.optimizer = self.made([self.group(n) for n in names])
        self.prox = self.followed()
        self.net.load_state_dict(net.state_dict())
        file = io.BytesIO()
        torch.save(old.state_dict(), file)
        file.seek(0)
        self.optimizer.load_state_dict(torch.load(file))
        for name, hand in self.hand.items():
            self.net.weight(name).requires_grad_(hand.open)

    def frozen_or_thawed(self):
        self.set_open(self.draw.choice(("a", "b", "frozen")), self.chance(0.5))

    def thawed(self):
        self.set_open("frozen", True)

    def set_open(self, name, opens):
        if not any(w.open and w.lr is not None for n, w in self.hand.items() if n != name):
            return
        self.net.weight(name).requires_grad_(opens).grad = None
        self.hand[name].open = opens
        if not opens:  # what the optimiser did before the freezing is not followed up
            self.hand[name].tau = 0.0
            self.shrink()

    def group_added(self):
        if self.hand["late"].lr is None:
            self.optimizer.add_param_group(self.group("late"))
            self.hand["late"].lr = self.optimizer.param_groups[-1]["lr"]

    def scheduled(self):
        """Also between the optimiser's step and the proximal one."""
        lr = self.draw.choice((0.03, 0.2))
        for group in self.optimizer.param_groups:
            group["lr"] = lr
        for hand in self.hand.values():
            hand.lr = hand.lr and lr


@pytest.mark.parametrize("start", range(4))
def test_weights_shrink_as_by_hand(start):
    for seed in range(start * 40, start * 40 + 40):
        Run(seed).go(15)


def small(**options):
    torch.manual_seed(0)
    net = nn.Linear(3, 2, bias=False).double()
    optimizer = optim.SGD(net.parameters(), lr=0.01, **options)
    return net, optimizer, lossmith.ProximalStep(optimizer, {lossmith.L1Penalty(): 1.0}, net)


def advance(net, optimizer, prox):
    """How far a step without any gradient shrinks."""
    before = net.weight.detach().clone()
    net.weight.grad = torch.zeros_like(net.weight)
    optimizer.step()
    prox.step()
    return (before - net.weight).abs().max().item()


def test_what_is_added_or_loaded_later_is_refused_like_what_was_there():
    for option in ("maximize", "differentiable"):
        _, optimizer, prox = small()
        other = nn.Parameter(torch.ones(2))
        optimizer.add_param_group({"params": [other], option: True})
        with pytest.raises(lossmith.UnsupportedError, match="ProximalStep: the optimiser"):
            optimizer.step()
        _, loaded, _ = small()
        state = loaded.state_dict()
        state["param_groups"][0][option] = True
        with pytest.raises(lossmith.UnsupportedError, match="ProximalStep: the optimiser"):
            loaded.load_state_dict(state)
        del prox


def test_momentum_that_is_thrown_away_begins_anew():
    run = small(momentum=0.5)
    assert [advance(*run) for _ in range(3)] == pytest.approx([0.01, 0.015, 0.0175])
    run[1].state.clear()
    assert advance(*run) == pytest.approx(0.01)


def test_an_error_leaves_the_steps_that_were_not_taken():
    net = nn.Sequential(nn.Linear(3, 2, bias=False), nn.Linear(2, 2, bias=False)).double()
    optimizer = optim.SGD(net.parameters(), lr=0.01)
    fine = lossmith.L1Penalty(skip="1")
    odd = lossmith.GroupLasso("columns", only="1")
    prox = lossmith.ProximalStep(optimizer, {fine: 1.0, odd: 1.0}, net)
    before = [p.detach().clone() for p in net.parameters()]
    for p in net.parameters():
        p.grad = torch.zeros_like(p)
    optimizer.step()
    net[1].weight.data = net[1].weight.data.flatten()  # any error of the second parameter
    with pytest.raises(lossmith.ShapeError):
        prox.step()
    net[1].weight.data = net[1].weight.data.view(2, 2)
    prox.step()
    once = before[0].sign() * (before[0].abs() - 0.01).clamp(min=0)
    torch.testing.assert_close(net[0].weight.detach(), once)
    assert not torch.equal(net[1].weight, before[1])


def test_a_copy_that_follows_another_optimiser_says_so():
    net, optimizer, prox = small()
    alone = copy.deepcopy(prox)
    net.weight.grad = torch.zeros_like(net.weight)
    for _ in range(63):
        optimizer.step()
        alone.step()
    with pytest.warns(UserWarning, match="copied or loaded alone"):
        alone.step()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(100):
            alone.step()  # said once
            optimizer.step()
            prox.step()


def test_an_iterator_serves_every_penalty():
    net, optimizer, _ = small()
    both = {lossmith.L1Penalty(): 1.0, lossmith.L2Penalty(): 1.0}
    prox = lossmith.ProximalStep(optimizer, both, net.parameters())
    assert advance(net, optimizer, prox) > 0
