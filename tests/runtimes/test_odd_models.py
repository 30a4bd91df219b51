"""Models whose answers are not one row of a fixed shape to each sample, and streams of samples of any length."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from onnx import NodeProto, TensorProto, helper, numpy_helper
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

import edgeml
from edgeml.core.artifact import Needs
from edgeml.core.errors import InputError, TargetError
from edgeml.core.tensors import Signature, TensorSpec
from edgeml.runtimes.onnxruntime import OnnxRuntimeSession

Shape = Sequence[str | int]


def opened(nodes: list[NodeProto], takes: Shape, gives: Shape, **constants: np.ndarray) -> OnnxRuntimeSession:
    """A session of a model from float32 ``x`` to float32 ``y``."""
    ends = [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in (("x", takes), ("y", gives))]
    held = [numpy_helper.from_array(array, name) for name, array in constants.items()]
    graph = helper.make_graph(nodes, "odd", ends[:1], ends[1:], held)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    x, y = (
        TensorSpec(name, tuple(None if isinstance(size, str) else size for size in shape), "float32")
        for name, shape in (("x", takes), ("y", gives))
    )
    needs = Needs(engine="onnxruntime", engine_version="1.17.0", operators=tuple(node.op_type for node in nodes))
    return OnnxRuntimeSession(model.SerializeToString(), Signature((x,), (y,)), needs=needs)


@pytest.mark.parametrize("count", [3, 300])
@pytest.mark.parametrize("gives", [("M", 4), ("M", "K")])
def test_one_answer_to_all_samples_is_no_answer_to_each(count: int, gives: Shape) -> None:
    """Only the first row comes out, of which onnxruntime cannot know before."""
    nodes = [
        helper.make_node("ReduceMin", ["x"], ["least"], keepdims=0),
        helper.make_node("Unsqueeze", ["least", "zero"], ["row"]),
        helper.make_node("Greater", ["row", "low"], ["is_wanted"]),
        helper.make_node("Compress", ["x", "is_wanted"], ["y"], axis=0),
    ]
    x = np.random.default_rng(0).random((count, 4), np.float32)
    takes: Shape = ("N", 4) if gives[1] == 4 else ("N", "K")
    with opened(nodes, takes, gives, zero=np.array([0]), low=np.array([-1], np.float32)) as session:
        for use in uses(session):
            with pytest.raises(TargetError, match=r"gives 'y' of shape \[1, 4\] to \d+ samples"):
                use(x)
            np.testing.assert_array_equal(use(x[:1]), x[:1])


def uses(session: OnnxRuntimeSession) -> list[Callable[[np.ndarray], Any]]:
    return [session.predict, lambda x: session.run({"x": x})["y"], lambda x: session.run_raw({"x": x})["y"]]


def test_a_stream_of_samples_of_any_length() -> None:
    random = np.random.default_rng(0)
    items = [random.random(int(size), np.float32) for size in random.integers(1, 4, 5000)]
    with opened([helper.make_node("Identity", ["x"], ["y"])], ("N", "K"), ("N", "K")) as session:
        for found, wanted in zip(session.stream(iter(items)), items, strict=True):
            np.testing.assert_array_equal(found, wanted)
        with pytest.raises(TargetError, match=r"answers of different shapes, \[None, 1\], \[None, 2\]"):
            session.predict(iter(items))
        items[4000][0] = np.nan
        with pytest.raises(InputError, match="sample 4000 holds NaN"):
            session.predict(iter(items))


@pytest.mark.parametrize("batch_size", [np.int64(3), np.uint8(200)])
def test_counts_of_numpy(batch_size: Any) -> None:
    x = np.random.default_rng(0).random((1000, 4), np.float32)
    with opened([helper.make_node("Identity", ["x"], ["y"])], ("N", 4), ("N", 4)) as session:
        np.testing.assert_array_equal(session.predict(x, batch_size=batch_size), x)
        with pytest.raises(InputError, match="batch_size is '3', expected a whole number"):
            session.predict(x, batch_size="3")  # type: ignore[arg-type]


@pytest.mark.parametrize("count", [1, 300])
def test_numbers_that_float32_has_not(count: int) -> None:
    x = np.ones((count, 4))
    x[-1, 2] = 1e300
    with opened([helper.make_node("Identity", ["x"], ["y"])], ("N", 4), ("N", 4)) as session:
        for given in (x, iter(x)):
            with pytest.raises(InputError, match=f"sample {count - 1} holds a number that is too large for float32"):
                session.predict(given)
        x[-1, 2] = -np.inf
        with pytest.raises(InputError, match=f"sample {count - 1} holds NaN or infinity"):
            session.predict(x)


def test_scores_beside_labels_in_text_stay_numbers() -> None:
    data = load_iris()
    model = LogisticRegression(max_iter=1000).fit(data.data, data.target_names[data.target])
    package = edgeml.build(model, recipes=["onnx-fp32"])
    x = data.data.astype(np.float32)
    with package.session("onnx-fp32") as session:
        found = session.run_raw({"features": x})
        assert found["scores"].dtype == np.float32
        np.testing.assert_allclose(found["scores"], model.predict_proba(data.data), atol=1e-5)
        np.testing.assert_array_equal(session.classify(x), model.predict(data.data))
