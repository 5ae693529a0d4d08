"""LightGBM's own scoring, through its C interface: what every compiled forest is checked against when it is loaded.

The Python package brings scikit-learn and pandas along, some four seconds of a server's start; the library alone loads
in a few milliseconds. Training imports the package, serving only this.
"""

import ctypes
from functools import cache
from importlib.util import find_spec

import numpy as np
from numpy.typing import NDArray

from cxreco.errors import BadSpec

F64 = NDArray[np.float64]
# Of LightGBM's c_api.h.
DOUBLE = 1
RAW_SCORE = 1
LIBRARIES = ("lib/lib_lightgbm.so", "lib/lib_lightgbm.dylib")


class Booster:
    """A model read by LightGBM from its text form.

    Attributes
    ----------
    features
        Number of columns it wants.
    trees
        Number of trees it sums.

    Raises
    ------
    BadSpec
        If LightGBM cannot read the text.
    """

    def __init__(self, text: str) -> None:
        self._library = _library()
        self._handle = ctypes.c_void_p()
        iterations = ctypes.c_int()
        self._must(
            "LGBM_BoosterLoadModelFromString", text.encode(), ctypes.byref(iterations), ctypes.byref(self._handle)
        )
        self.features = self._number("LGBM_BoosterGetNumFeature")
        self.trees = self._number("LGBM_BoosterNumberOfTotalModel")

    def __del__(self) -> None:
        if self._handle:
            self._library.LGBM_BoosterFree(self._handle)

    def score(self, rows: F64) -> F64:
        """Return (n,) raw scores of rows (n, features), contiguous, on one thread."""
        if rows.shape[0] == 0:
            return np.zeros(0)
        out = np.empty(rows.shape[0])
        written = ctypes.c_int64()
        self._must(
            "LGBM_BoosterPredictForMat",
            self._handle,
            rows.ctypes.data_as(ctypes.c_void_p),
            ctypes.c_int(DOUBLE),
            ctypes.c_int32(rows.shape[0]),
            ctypes.c_int32(rows.shape[1]),
            ctypes.c_int(1),
            ctypes.c_int(RAW_SCORE),
            ctypes.c_int(0),
            ctypes.c_int(-1),
            b"num_threads=1 verbosity=-1",
            ctypes.byref(written),
            out.ctypes.data_as(ctypes.POINTER(ctypes.c_double)),
        )
        return out

    def _number(self, function: str) -> int:
        found = ctypes.c_int()
        self._must(function, self._handle, ctypes.byref(found))
        return found.value

    def _must(self, function: str, *arguments: object) -> None:
        if getattr(self._library, function)(*arguments) != 0:
            reason = self._library.LGBM_GetLastError().decode(errors="replace")
            raise BadSpec(f"LightGBM cannot read it: {reason}", where="model")


@cache
def _library() -> ctypes.CDLL:
    """Load the shared library that the installed package ships; where it lies elsewhere, ask the package."""
    package = find_spec("lightgbm")
    for folder in (package.submodule_search_locations or ()) if package else ():
        for name in LIBRARIES:
            try:
                library = ctypes.CDLL(f"{folder}/{name}")
            except OSError:
                continue
            library.LGBM_GetLastError.restype = ctypes.c_char_p
            return library
    import lightgbm  # built against a library of the system's

    found: ctypes.CDLL = lightgbm.basic._LIB
    return found
