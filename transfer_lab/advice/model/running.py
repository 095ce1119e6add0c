"""The network of a model's folder as a function of one image: by onnxruntime, or by torch."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np

from transfer_lab.advice.model.manifest import (
    BATCH,
    CHECKPOINT,
    ONNX,
    TENSORS,
    Manifest,
    ModelFolderError,
    whole,
)
from transfer_lab.advice.model.seen import Running, Seen
from transfer_lab.system import host


def running(folder: Path, manifest: Manifest) -> Running:
    """The network by onnxruntime where that is installed and the folder has it, by torch else.

    Raises ModelFolderError where a file is damaged, or none can be run here.
    """
    if find_spec("onnxruntime") and (path := whole(folder, manifest, ONNX)):
        return ByOnnxRuntime(path)
    for name in (TENSORS, CHECKPOINT):
        if path := whole(folder, manifest, name):
            from transfer_lab.advice.model.by_torch import ByTorch

            return ByTorch(path, manifest)
    if ONNX in manifest.files:
        raise ModelFolderError(
            f"{folder}: holds its network as {ONNX} alone, and onnxruntime is not installed: "
            "pip install 'transfer-lab[photos]'"
        )
    raise ModelFolderError(f"{folder}: the network is missing; copy the folder again")


class ByOnnxRuntime:
    """By onnxruntime, on all cores of this machine that may be used."""

    def __init__(self, path: Path):
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = host.cores()
        options.log_severity_level = 3
        # With every size known the runtime folds more together; threads that wait in a loop would
        # take the cores from those that decode.
        options.add_free_dimension_override_by_name(BATCH, 1)
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._session = onnxruntime.InferenceSession(
            path.read_bytes(), options, providers=["CPUExecutionProvider"]
        )

    def __call__(self, image: np.ndarray) -> Seen:
        given = np.ascontiguousarray(image.transpose(1, 2, 0))[None]
        probabilities, features = self._session.run(
            ["probabilities", "features"], {"images": given}
        )
        return Seen(probabilities[0], features[0])
