"""Which dtypes tensors may have, and what is computed in."""

from __future__ import annotations

import torch

# Dtypes with the arithmetic that losses need, the commonest first. Eight-bit floats and quantized
# numbers have none.
FLOATS = (torch.float32, torch.float64, torch.bfloat16, torch.float16)
INTEGERS = (
    torch.int64, torch.int32, torch.uint8, torch.int16, torch.int8,
    torch.uint16, torch.uint32, torch.uint64,
)  # fmt: skip
TARGETS = (*FLOATS, *INTEGERS, torch.bool)


def compute_dtype(dtype: torch.dtype) -> torch.dtype:
    """What a loss of such a prediction is computed in, and what it returns."""
    return torch.float64 if dtype == torch.float64 else torch.float32
