"""Packages of MLPerf Tiny's nets, made once and kept in a folder."""

from __future__ import annotations

from pathlib import Path

from mlperf_tiny import MODELS

import edgeml

RECIPES = ["tflite-fp32", "tflite-int8", "onnx-fp32", "onnx-int8"]


def net(name: str, mlperf: Path, kept: Path) -> edgeml.Package:
    """The package of one net, from `kept` where it is there."""
    path = kept / f"{name}.edgeml"
    if not path.exists():
        kept.mkdir(parents=True, exist_ok=True)
        file, make = MODELS[name]
        data = make(mlperf)
        package = edgeml.build(
            mlperf / "models" / file,
            name=name,
            calibration=data.calibration,
            evaluation=data.evaluation[:50],
            recipes=RECIPES,
        )
        package.save(path)
    return edgeml.open_package(path)
