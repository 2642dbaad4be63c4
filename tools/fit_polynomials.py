"""Fit the polynomials of the CPU engine's math primitives, and check that the sources carry them.

Each polynomial minimises the largest relative error of the function it serves, by Remez exchange
on a dense grid at 50 digits; the coefficients are then rounded to the type of the file.

    python tools/fit_polynomials.py            print every table, ready to paste, with its error
    python tools/fit_polynomials.py --check    compare with src/lossmith/engine/cpu/vector{32,64}.py
"""

import re
import sys
from pathlib import Path

import mpmath as mp
import numpy as np

mp.mp.dps = 50
HALF_LN2 = mp.log(2) / 2
# What is left of m - 1 once the exponent is split off.
LOW, HIGH = mp.sqrt(mp.mpf(1) / 2) - 1, mp.sqrt(2) - 1
WIDEST = ((mp.sqrt(2) - 1) / (mp.sqrt(2) + 1)) ** 2  # and of ((m - 1) / (m + 1)) ** 2


def exp_tail(r):
    """(e^r - 1 - r) / r^2."""
    return (mp.expm1(r) - r) / r**2


def log_tail(z):
    """(log(1+z) - z) / z^2."""
    return (mp.log1p(z) - z) / z**2


def log1p_ratio(e):
    """log(1+e) / e."""
    return mp.log1p(e) / e


def atanh_tail(w):
    """(2 atanh(s) - 2 s) / s^3 with s = sqrt(w)."""
    s = mp.sqrt(w)
    return (2 * mp.atanh(s) - 2 * s) / s**3


def log_cosh_ratio(y):
    """log(cosh(x)) / x^2 with x = sqrt(y)."""
    return mp.log(mp.cosh(mp.sqrt(y))) / y


def power_tail(t):
    """((t - 1) e^t + 1) / t^2, the derivative of (e^(a L) - 1) / a in a, over L^2, at t = a L."""
    return ((t - 1) * mp.exp(t) + 1) / t**2


def itself(f):
    return lambda x: 1 / abs(f(x))


def against_expm1(r):
    """An error d of the tail is an error d r^2 of e^r - 1; the floor keeps the weight off zero."""
    return abs(r) + mp.mpf("0.01")


# name: (function, from, to, degree, weight of an error)
TABLES = {
    32: {
        "_EXP": (exp_tail, -HALF_LN2 * 1.001, HALF_LN2 * 1.001, 4, against_expm1),
        "_LOG": (log_tail, LOW, HIGH, 8, itself(log_tail)),
        "_LOG1P": (log1p_ratio, 0, 1, 9, itself(log1p_ratio)),
        "_ATANH": (atanh_tail, 0, WIDEST, 3, itself(atanh_tail)),
        "_LOG_COSH": (log_cosh_ratio, 0, mp.mpf("0.5625"), 5, itself(log_cosh_ratio)),
        "_POWER": (power_tail, mp.mpf("-1.5"), mp.mpf("1.5"), 9, itself(power_tail)),
    },
    64: {
        "_EXP": (exp_tail, -HALF_LN2 * 1.001, HALF_LN2 * 1.001, 9, against_expm1),
        "_ATANH": (atanh_tail, 0, WIDEST, 7, itself(atanh_tail)),
        "_LOG1P": (atanh_tail, 0, mp.mpf(1) / 9, 8, itself(atanh_tail)),
        "_LOG_COSH": (log_cosh_ratio, 0, mp.mpf("0.25"), 8, itself(log_cosh_ratio)),
        "_POWER": (power_tail, mp.mpf("-0.5"), mp.mpf("0.5"), 11, itself(power_tail)),
    },
}


def remez(f, low, high, degree, weight, rounds=8, points=600):
    """Coefficients, lowest power first, with the smallest possible largest |weight * error|."""
    low, high = mp.mpf(low), mp.mpf(high)
    middle, radius = (low + high) / 2, (high - low) / 2
    # an even number of Chebyshev points: neither end nor the middle, where a ratio would be 0 / 0
    grid = [middle - radius * mp.cos(mp.pi * (k + mp.mpf("0.5")) / points) for k in range(points)]
    values, weights = [f(x) for x in grid], [weight(x) for x in grid]
    reference = [round((points - 1) * k / (degree + 1)) for k in range(degree + 2)]
    for _ in range(rounds):
        system, right = mp.matrix(degree + 2, degree + 2), mp.matrix(degree + 2, 1)
        for row, at in enumerate(reference):
            for power in range(degree + 1):
                system[row, power] = grid[at] ** power
            system[row, degree + 1] = (-1) ** row / weights[at]
            right[row] = values[at]
        solution = mp.lu_solve(system, right)
        coefficients = [solution[k] for k in range(degree + 1)]
        error = [
            w * (mp.polyval(coefficients[::-1], x) - v)
            for x, v, w in zip(grid, values, weights, strict=True)
        ]
        peaks, start = [], 0
        for k in range(1, points + 1):  # the largest error of each run of one sign
            if k == points or (error[k] > 0) != (error[start] > 0):
                peaks.append(max(range(start, k), key=lambda j: abs(error[j])))
                start = k
        while len(peaks) > degree + 2:
            peaks.pop(0 if abs(error[peaks[0]]) < abs(error[peaks[-1]]) else -1)
        if len(peaks) < degree + 2 or peaks == reference:
            break
        reference = peaks
    return coefficients, max(map(abs, error))


def fit(width, name):
    """The table as it stands in the source, highest power first, and the error of the fit."""
    kind = np.float32 if width == 32 else np.float64
    coefficients, error = remez(*TABLES[width][name])
    return [kind(str(c)) for c in reversed(coefficients)], error


def text(name, coefficients):
    numbers = [str(c) for c in coefficients]
    lines, line = [], ""
    for number in numbers:
        if len(line) + len(number) > 110:
            lines.append(line.rstrip())
            line = ""
        line += number + ", "
    lines.append(line.rstrip(" ,"))
    return f"{name} = _table(\n    " + "\n    ".join(lines) + "\n)"


def in_source(width, name):
    source = Path(__file__).parents[1] / f"src/lossmith/engine/cpu/vector{width}.py"
    found = re.search(rf"^{name} = _table\(([^)]*)\)", source.read_text(), re.M)
    return (
        None
        if found is None
        else [float(n) for n in found[1].replace("\n", " ").split(",") if n.strip()]
    )


def main():
    check, wrong = "--check" in sys.argv, 0
    for width, tables in TABLES.items():
        for name in tables:
            coefficients, error = fit(width, name)
            if not check:
                print(f"# float{width}, {tables[name][0].__doc__}: {mp.nstr(error, 3)}")
                print(text(name, coefficients))
                continue
            present = in_source(width, name)
            same = present is not None and np.allclose(
                present, coefficients, rtol=1e-6 if width == 32 else 1e-12, atol=0
            )
            wrong += not same
            print(f"vector{width}.{name}: {'as fitted' if same else 'DIFFERS'}")
    return wrong


if __name__ == "__main__":
    sys.exit(main())
