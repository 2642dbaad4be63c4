"""The claims, by name."""

from __future__ import annotations

from difflib import get_close_matches

from lossmith.errors import InputError
from lossmith.lab.claims import (
    boosting,
    center,
    entropy,
    focal,
    hinge,
    jumps,
    outliers,
    overfitting,
    ramp,
    saturation,
    sigmoid_l2,
    smoothing,
    sparsity,
    structural,
    surrogates,
)
from lossmith.lab.claims.claim import Claim

FILES = (
    hinge, ramp, center, focal, sparsity, jumps, outliers, smoothing, sigmoid_l2, entropy,
    surrogates, boosting, structural, overfitting, saturation,
)  # fmt: skip
CLAIMS: dict[str, Claim] = {file.CLAIM.name: file.CLAIM for file in FILES}


def find(name: str) -> Claim:
    """A claim by its name or its number."""
    by_number = {str(claim.number): claim for claim in CLAIMS.values()}
    found = CLAIMS.get(name.replace("-", "_")) or by_number.get(name)
    if found is None:
        close = get_close_matches(name, CLAIMS, n=1)
        hint = f"; did you mean {close[0]}?" if close else ""
        raise InputError(f"no claim named {name!r}: there are {', '.join(CLAIMS)}{hint}")
    return found
