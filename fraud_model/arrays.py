"""The arrays that pass between modules, by what they hold."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
# 1 for a fraud, 0 for a genuine transaction.
Labels = npt.NDArray[np.int64]
Counts = npt.NDArray[np.int64]
# Numbers that rows which belong together share, such as hashes.
Groups = npt.NDArray[np.uint64]
Flags = npt.NDArray[np.bool_]
