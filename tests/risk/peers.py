"""skglm's penalties, run by Python: the same source, without minutes of compilation by Numba."""

import warnings

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of its own dependencies
    import skglm.penalties as penalties
    from skglm.penalties import block_separable, separable
    from skglm.utils import prox_funcs

for module in (prox_funcs, separable, block_separable):
    for name, value in list(vars(module).items()):
        if hasattr(value, "py_func"):
            setattr(module, name, value.py_func)

__all__ = ["penalties"]
