"""Claim 10: cross-entropy, KL divergence, logistic loss and likelihood are one family."""

from __future__ import annotations

import numpy as np
import torch
from scipy.special import entr
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.neighbors import KNeighborsClassifier

import lossmith
from lossmith.lab.claims import drawing, linear, samples
from lossmith.lab.claims.claim import COMMON, DEEP, Budget, Claim, Evidence, Part
from lossmith.lab.claims.measure import exact, over_seeds
from lossmith.lab.page.drawing import Picture

ROUNDING = 1e-12
PENALTY = 0.01


def run(budget: Budget) -> Evidence:
    """Identities on real scores and labels; each number is the worst case over rows and seeds."""
    gap_kl, gap_logistic, gap_sklearn, gap_fit, entropies = [], [], [], [], []
    for seed in budget.seeds:
        scores, target = soft_targets(seed)
        z, p = torch.tensor(scores), torch.tensor(target)
        entropy = entr(target).sum(1)
        cross = lossmith.cross_entropy(z, p, reduction="none").numpy()
        divergence = lossmith.kl_divergence(z, p, reduction="none").numpy()
        gap_kl.append(float(np.abs(cross - divergence - entropy).max()))
        entropies.append(float(entropy.mean()))

        data = samples.classes("breast_cancer", seed)
        x, y = linear.with_ones(data.x), torch.tensor(data.y)
        w = linear.newton("logistic", x, data.y, PENALTY)
        score = torch.tensor(linear.with_ones(data.x_test) @ w)
        truth = torch.tensor(data.y_test)
        bce = lossmith.binary_cross_entropy(score, truth, reduction="none")
        logistic = lossmith.logistic(score, truth, reduction="none")
        gap_logistic.append(float((bce - logistic).abs().max()))
        chance = torch.sigmoid(score).numpy()
        gap_sklearn.append(abs(float(bce.mean()) - log_loss(data.y_test, chance)))
        # Maximum likelihood, by somebody else's solver.
        likeliest = LogisticRegression(C=1 / (PENALTY * len(y)), tol=1e-10, max_iter=2000)
        likeliest.fit(data.x, data.y)
        theirs = np.append(likeliest.coef_[0], likeliest.intercept_)
        gap_fit.append(float(np.abs(theirs - w).max() / np.abs(w).max()))
    numbers = {
        "entropy": over_seeds("entropy of the soft targets, nats", entropies),
        "kl": exact("cross-entropy − KL − entropy of the target, worst row", max(gap_kl)),
        "logistic": exact("binary cross-entropy − logistic loss, worst row", max(gap_logistic)),
        "likelihood": exact("mean − scikit-learn's negative log-likelihood", max(gap_sklearn)),
        "fit": exact(
            "weights that minimise the logistic loss against scikit-learn's of maximum likelihood "
            "(largest difference over largest weight)",
            max(gap_fit),
        ),
    }  # fmt: skip
    return Evidence(
        numbers,
        [_figure(budget.seeds[0])],
        [
            f"Over all rows and seeds the identities are off by at most {numbers['kl']}, "
            f"{numbers['logistic']} and {numbers['likelihood']}; the two fits differ by "
            f"{numbers['fit']} of the largest weight.",
        ],
    )


def soft_targets(seed: int) -> tuple[samples.Array, samples.Array]:
    """Scores of a linear model for the test digits, and for each the classes of its neighbours."""
    data = samples.classes("digits", seed)
    scores = LogisticRegression(C=0.01, max_iter=500).fit(data.x, data.labels)
    near = KNeighborsClassifier(25).fit(data.x, data.labels)
    return scores.decision_function(data.x_test), near.predict_proba(data.x_test)


def _figure(seed: int) -> Picture:
    scores, target = soft_targets(seed)
    z, p = torch.tensor(scores), torch.tensor(target)
    cross = lossmith.cross_entropy(z, p, reduction="none").numpy()
    divergence = lossmith.kl_divergence(z, p, reduction="none").numpy()
    entropy = entr(target).sum(1)
    order = np.argsort(entropy, kind="stable")[::-1][:60]
    with drawing.style():
        canvas, (ax,) = drawing.panels()
        place = np.arange(len(order))
        ax.bar(place, entropy[order], width=1, color=drawing.hue(3), alpha=0.6, label="entropy of the target")  # noqa: E501  # fmt: skip
        ax.bar(
            place, divergence[order], bottom=entropy[order], width=1, color=drawing.hue(1),
            alpha=0.6, label="KL divergence",
        )  # fmt: skip
        ax.plot(place, cross[order], ".", color=drawing.INK, markersize=4, label="cross-entropy")
        ax.set(xlabel="test digits with the vaguest targets", ylabel="nats")
        drawing.key(ax)
        caption = "Entropy and KL divergence stacked; the dots are cross-entropy."
        worst = float(np.abs(cross - divergence - entropy).max())
        return drawing.finished(
            canvas, "entropy-sum", "Cross-entropy is KL plus entropy",
            f"{caption} Largest gap between dot and stack: {worst:.1e}.", caption,
        )  # fmt: skip


CLAIM = Claim(
    number=10,
    name="entropy",
    title="Cross-entropy comes from KL; with two classes it is the logistic loss",
    articles=(DEEP, COMMON),
    says=(
        "Cross-entropy is born of the KL divergence and measures how far the predicted "
        "distribution is from the true one. With two classes cross-entropy is the logistic loss, "
        "which is the negative of the log-likelihood that logistic regression maximises."
    ),
    experiment=(
        "Digits with soft targets (the classes of 25 neighbours): cross-entropy − KL against the "
        "entropy from SciPy. Breast cancer: binary cross-entropy against the logistic loss and "
        "scikit-learn's log_loss, and the fitted weights against scikit-learn's logistic "
        "regression."
    ),
    parts=(
        Part(
            f"cross-entropy − KL is the entropy of the target, to {ROUNDING:g}, and that is not 0",
            lambda n: n["kl"].mean <= ROUNDING and n["entropy"].low > 0,
            heart=True,
        ),
        Part(
            f"binary cross-entropy, logistic loss and −log-likelihood agree to {ROUNDING:g}",
            lambda n: max(n["logistic"].mean, n["likelihood"].mean) <= ROUNDING,
        ),
        Part(
            "minimising it gives scikit-learn's maximum-likelihood weights to 1e-4",
            lambda n: n["fit"].mean <= 1e-4,
        ),
    ),
    run=run,
)
