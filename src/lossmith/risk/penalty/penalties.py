"""Penalties by their names, with what is to be known of each."""

from __future__ import annotations

from lossmith.risk.penalty.base import Penalty
from lossmith.risk.penalty.select import Rules


class L1Penalty(Penalty):
    """The lasso: Σ |w|. Weights whose gradient stays below λ become exactly 0.

    Formula:
        ψ(w) = |w|; prox(x, t) = sign(x)·max(|x| - t, 0). λ is scikit-learn's alpha where the loss
        is ½·mean squared error, and half that loss's λ where it is lossmith.L2 (no half).

    Parameters:
        only, skip (default None): which parameters, as in `Penalty`.

    Errors:
        As in `Penalty`.

    Source: Tibshirani 1996, doi:10.1111/j.2517-6161.1996.tb02080.x.
    """

    def __init__(self, only: Rules = None, skip: Rules = None) -> None:
        super().__init__("l1", only, skip)


class L2Penalty(Penalty):
    """Ridge: Σ ½w². Its gradient is λw, which is what torch calls weight_decay=λ in SGD.

    Formula:
        ψ(w) = w²/2; prox(x, t) = x / (1 + t). No exact zeros.

    Parameters:
        only, skip (default None): which parameters, as in `Penalty`.

    Errors:
        As in `Penalty`.

    Source: Hoerl & Kennard 1970, doi:10.1080/00401706.1970.10488634.
    """

    def __init__(self, only: Rules = None, skip: Rules = None) -> None:
        super().__init__("l2", only, skip)


class ElasticNet(Penalty):
    """Lasso and ridge in scikit-learn's parameters: zeros, and correlated inputs kept together.

    Formula:
        ψ(w) = l1_ratio·|w| + (1 - l1_ratio)·w²/2. λ is scikit-learn's alpha where the loss is
        ½·mean squared error.

    Parameters:
        l1_ratio (default 0.5): in [0, 1]; 1 is the lasso, 0 is ridge.
        only, skip (default None): which parameters, as in `Penalty`.

    Errors:
        As in `Penalty`; ParameterError for an l1_ratio outside [0, 1].

    Source: Zou & Hastie 2005, doi:10.1111/j.1467-9868.2005.00503.x.
    """

    def __init__(self, l1_ratio: float = 0.5, only: Rules = None, skip: Rules = None) -> None:
        super().__init__("elastic_net", only, skip, l1_ratio=l1_ratio)


class MCP(Penalty):
    """Minimax concave penalty: the lasso near 0, and no pull at all on large weights.

    Formula:
        ψ(w) = |w| - w²/(2·gamma·scale) where |w| ≤ gamma·scale, else gamma·scale/2.
        λ·MCP(gamma, scale=λ) is the paper's penalty and skglm's; with another scale, λ sets the
        pull at 0, and scale·gamma the size from which a weight is left alone.

    Parameters:
        gamma (default 3.0): above 1; towards ∞ the lasso, towards 1 hard thresholding.
        scale (default 1.0): above 0, in units of the weights; see Formula.
        only, skip (default None): which parameters, as in `Penalty`.

    Not convex: there may be several stationary points, and `lambda_max` is the λ at which 0 is one.

    Errors:
        As in `Penalty`; ParameterError for settings outside their domain.

    Source: Zhang 2010, doi:10.1214/09-AOS729, eq. 2.1.
    """

    def __init__(
        self, gamma: float = 3.0, scale: float = 1.0, only: Rules = None, skip: Rules = None
    ) -> None:
        super().__init__("mcp", only, skip, gamma=gamma, scale=scale)


class SCAD(Penalty):
    """Smoothly clipped absolute deviation: the lasso up to scale, fading out to gamma·scale.

    Formula:
        ψ(w) = |w| where |w| ≤ scale; else with r = gamma·scale
        scale·(gamma + 1)/2 - (r - |w|)²/(2·(gamma - 1)·scale) where |w| ≤ r, and its first term
        beyond. λ·SCAD(gamma, scale=λ) is the paper's penalty and skglm's.

    Parameters:
        gamma (default 3.7): above 2, the paper's a; towards ∞ the lasso.
        scale (default 1.0): above 0, in units of the weights; as for `MCP`.
        only, skip (default None): which parameters, as in `Penalty`.

    Not convex: there may be several stationary points, and `lambda_max` is the λ at which 0 is one.

    Errors:
        As in `Penalty`; ParameterError for settings outside their domain.

    Source: Fan & Li 2001, doi:10.1198/016214501753382273, eq. 2.7.
    """

    def __init__(
        self, gamma: float = 3.7, scale: float = 1.0, only: Rules = None, skip: Rules = None
    ) -> None:
        super().__init__("scad", only, skip, gamma=gamma, scale=scale)
