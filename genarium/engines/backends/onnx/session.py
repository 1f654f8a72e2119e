"""A graph and its weights as an onnxruntime session: weights stay in the arrays they are in."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from genarium import devices
from genarium.errors import BadCheckpoint, first_line

SPIN = "20"
"""Microseconds: about as long as what is between two products."""


def open(model: bytes, arrays: Mapping[str, NDArray[Any]], path: Path, threads: int | None = None) -> Any:
    """A session of the graph, whose arrays have to live as long as it does. Raises BadCheckpoint."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads or devices.threads()
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    # The graphs are fused as they are, and weights that are restored while it runs must not be so beforehand.
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    # By default threads spin a millisecond for what comes next, and so for each other where others use the cores.
    options.add_session_config_entry("session.intra_op.spin_duration_us", SPIN)
    given = {name: array for name, array in arrays.items() if array.dtype != np.int64}
    options.add_external_initializers(
        list(given), [ort.OrtValue.ortvalue_from_numpy(array) for array in given.values()]
    )
    try:
        return ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # the library raises its own kinds, which have no common one
        raise BadCheckpoint(
            f"{path}: onnxruntime refuses its network ({first_line(error)}); try another dtype"
        ) from None
