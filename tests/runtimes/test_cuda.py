"""onnxruntime on an NVIDIA GPU, beside the CPU."""

from __future__ import annotations

import time

import numpy as np
import onnxruntime
import pytest

import edgeml
from edgeml.demo.digits import Digits

pytestmark = [
    pytest.mark.nvidia,
    pytest.mark.skipif(
        "CUDAExecutionProvider" not in onnxruntime.get_available_providers(),
        reason="onnxruntime lacks the CUDA provider: install edgeml-toolkit[onnx-cuda] on a machine with an NVIDIA GPU",
    ),
]


@pytest.mark.parametrize("recipe", ["onnx-fp32", "onnx-fp16"])
def test_cuda_answers_as_the_cpu_does(net_package: edgeml.Package, digits: Digits, recipe: str) -> None:
    x = digits.evaluation[:256]
    session = net_package.session(recipe, target="cuda", allow_fallback=True)
    assert any(item.place == "CUDAExecutionProvider" for item in session.placement.operators)
    assert not any(item.operator == "Conv" for item in session.placement.elsewhere)
    expected = np.asarray(net_package.session(recipe).predict(x))
    np.testing.assert_allclose(np.asarray(session.predict(x)), expected, atol=1e-2 if recipe == "onnx-fp16" else 1e-3)


def test_throughput_from_batch_1_to_1024(net_package: edgeml.Package, digits: Digits) -> None:
    sessions = {
        target: net_package.session("onnx-fp32", target=target, allow_fallback=True) for target in ("cpu", "cuda")
    }
    print(f"\n{sessions['cuda'].placement}\nbatch {'cpu':>12} {'cuda':>12}  samples a second")  # noqa: T201
    for batch in (1, 4, 16, 64, 256, 1024):
        x = np.resize(digits.evaluation, (max(1024, 4 * batch), 8, 8, 1)).astype(np.float32)
        rates = []
        for session in sessions.values():
            session.predict(x[:batch], batch_size=batch)
            began = time.perf_counter()
            session.predict(x, batch_size=batch)
            rates.append(len(x) / (time.perf_counter() - began))
        print(f"{batch:5} {rates[0]:12.0f} {rates[1]:12.0f}")  # noqa: T201
        assert min(rates) > 0
