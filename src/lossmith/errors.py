"""One family of errors: what was given, what is needed, what to do.

Every error raised for a user is a `LossmithError`, and also the built-in kind that a careful
caller would already catch (`ValueError`, `TypeError`, `NotImplementedError`).
"""


class LossmithError(Exception):
    """Root of every error that Lossmith raises on purpose."""


class InputError(LossmithError, ValueError):
    """An argument has a wrong value; nothing was computed and nothing was changed."""


class ShapeError(InputError):
    """Two tensors do not have the shapes that the loss needs."""


class DtypeError(InputError, TypeError):
    """A tensor, or another argument, has a type that the loss cannot take."""


class DeviceError(InputError):
    """Two tensors lie on different devices."""


class ArgumentError(InputError, TypeError):
    """A keyword that the call does not take; the message says what is meant here."""


class LabelError(InputError):
    """A label lies outside the values that the loss is defined for."""


class ParameterError(InputError):
    """A parameter of a loss lies outside its domain."""


class FormulaError(LossmithError, ValueError):
    """A formula cannot become a loss; the message names the fix."""


class UnsupportedError(LossmithError, NotImplementedError):
    """This combination is not offered; the message names what is, instead of guessing."""


class CacheWarning(UserWarning):
    """The kernel cache could not be used; results are right, the next start is slower."""
