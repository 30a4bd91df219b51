"""Model files that hold code, reach for other files, lie about their size, or are damaged."""

from __future__ import annotations

import contextlib
import io
import json
import os
import pickle
import zipfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from sklearn.linear_model import LogisticRegression

import edgeml
from edgeml.core.errors import ConversionError, EdgemlError, InputError, UnsupportedModelError
from edgeml.core.system.worker import Worker, WorkerCrash, WorkerTimeout
from tests.support.external_data import EXTERNAL_DATA, linear
from tests.support.mutants import AttemptsSettings, mutants
from tests.support.packing import artifact_bytes

MUTANTS = 1000


class Bomb:
    """Writes its process's number when it is unpickled, and makes an estimator."""

    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> tuple[Any, ...]:
        code = f"__import__('pathlib').Path({str(self.canary)!r}).write_text(str(__import__('os').getpid()))"
        return eval, (f"({code}, __import__('tests.support.tables', fromlist=['x']))[0]",)


@pytest.mark.parametrize(
    "suffix",
    [".pkl", ".pickle", ".joblib", ".dill", ".keras", ".h5", ".hdf5", ".skops", ".tflite", ".onnx", ".npz", ".bin"],
)
def test_a_pickle_under_every_name(suffix: str, tmp_path: Path) -> None:
    path, canary = tmp_path / f"model{suffix}", tmp_path / "canary"
    path.write_bytes(pickle.dumps(Bomb(canary)))
    with pytest.raises((InputError, UnsupportedModelError)):
        edgeml.build(path)
    assert not canary.exists()


def test_a_pickle_that_is_trusted_is_loaded_in_the_child(tmp_path: Path) -> None:
    path, canary = tmp_path / "model.pkl", tmp_path / "canary"
    path.write_bytes(pickle.dumps(Bomb(canary)))
    with pytest.raises(InputError, match="expected a scikit-learn estimator"):
        edgeml.build(path, trust_source=True)
    assert int(canary.read_text()) != os.getpid()


@pytest.mark.slow
@pytest.mark.parametrize("suffix", [".pkl", ".joblib"])
def test_a_trusted_estimator_becomes_a_package(suffix: str, tmp_path: Path) -> None:
    import joblib

    x = np.random.default_rng(0).standard_normal((60, 4)).astype(np.float32)
    path = tmp_path / f"model{suffix}"
    model = LogisticRegression().fit(x, x[:, 0] > 0)
    if suffix == ".pkl":
        path.write_bytes(pickle.dumps(model))
    else:
        joblib.dump(model, path)
    with pytest.raises(UnsupportedModelError, match="pickle") as caught:
        edgeml.build(path)
    assert "--trust-source" in caught.value.fix
    package = edgeml.build(path, evaluation=x, recipes=["onnx-fp32"], trust_source=True)
    np.testing.assert_array_equal(package.session("onnx-fp32").classify(x), model.predict(x))


# --- Keras ---------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_lambda_is_loaded_where_it_is_trusted(keras_models: Worker) -> None:
    path = keras_models.call("make", "with_lambda", returns=Path)
    with pytest.raises(UnsupportedModelError, match="a Lambda layer, which is code"):
        edgeml.build(path)
    x = np.random.default_rng(0).standard_normal((20, 16)).astype(np.float32)
    package = edgeml.build(path, evaluation=x, recipes=["onnx-fp32"], trust_source=True)
    np.testing.assert_allclose(np.asarray(package.session("onnx-fp32").predict(x)), 2 * x)


@pytest.mark.slow
@pytest.mark.parametrize("form", [".h5", ""])
def test_a_lambda_of_keras_2(legacy_models: Worker, form: str) -> None:
    path = legacy_models.call("make", "with_lambda", form, returns=Path)
    with pytest.raises(UnsupportedModelError, match="a Lambda layer, which is code"):
        edgeml.build(path)
    package = edgeml.build(path, recipes=["onnx-fp32"], trust_source=True)
    assert package.released == ("onnx-fp32",)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "form", "reason"),
    [
        ("with_own_class", ".h5", "Unknown layer: 'Mine'"),
        ("that_reads_a_file", "", "the operator ReadFile"),
        ("that_calls_python", "", "the operator EagerPyFunc"),
    ],
)
def test_what_a_keras_2_model_may_not_do(legacy_models: Worker, kind: str, form: str, reason: str) -> None:
    with pytest.raises(UnsupportedModelError, match=reason):
        edgeml.build(legacy_models.call("make", kind, form, returns=Path))


@pytest.mark.slow
def test_the_graph_of_an_own_class_is_taken_as_it_is(legacy_models: Worker) -> None:
    """A SavedModel has the class's operations, and needs no code of it."""
    package = edgeml.build(legacy_models.call("make", "with_own_class", "", returns=Path), recipes=["onnx-fp32"])
    assert package.released == ("onnx-fp32",)


@pytest.mark.slow
@pytest.mark.parametrize(
    "function",
    ["io.read_file", "io.write_file", "py_function", "raw_ops.WriteFile", "saved_model.load", "load_op_library"],
)
def test_a_function_of_tensorflow_that_reaches_out(legacy_models: Worker, tmp_path: Path, function: str) -> None:
    path = tmp_path / "model.h5"
    path.write_bytes(legacy_models.call("make", "with_operators", ".h5", returns=Path).read_bytes())
    with h5py.File(path, "r+") as file:
        config = file.attrs["model_config"]
        assert '"math.tanh"' in config
        file.attrs["model_config"] = config.replace('"math.tanh"', f'"{function}"')
    with pytest.raises(UnsupportedModelError, match="the model calls TensorFlow's function"):
        edgeml.build(path)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("layer", "reason"),
    [
        ({"class_name": "SlicingOpLambda", "config": {"function": "io.gfile.rmtree"}}, "function 'io.gfile.rmtree'"),
        ({"class_name": "TFOpLambda", "config": "io.write_file"}, "function None"),
        ({"class_name": "TFOpLambda", "config": {"function": ["math.tanh"]}}, r"function \['math.tanh'\]"),
        (
            {"class_name": "ClassMethod", "config": {"cls_symbol": "io.gfile.GFile", "method_name": "write"}},
            "ClassMethod calls what it names",
        ),
        ({"class_name": "InstanceMethod", "config": {"attr_name": "__reduce__"}}, "InstanceMethod calls what it names"),
        ({"class_name": "InstanceProperty", "config": {"attr_name": "graph"}}, "InstanceProperty calls what it names"),
    ],
)
def test_a_layer_that_calls_what_it_names(
    legacy_models: Worker, tmp_path: Path, layer: dict[str, Any], reason: str
) -> None:
    path = tmp_path / "model.h5"
    path.write_bytes(legacy_models.call("make", "with_operators", ".h5", returns=Path).read_bytes())
    with h5py.File(path, "r+") as file:
        config = json.loads(file.attrs["model_config"])
        config["config"]["layers"][1].update(layer)
        file.attrs["model_config"] = json.dumps(config)
    with pytest.raises(UnsupportedModelError, match=reason):
        edgeml.build(path)


@pytest.mark.slow
def test_a_graph_of_file_operators_behind_a_clean_configuration(legacy_models: Worker) -> None:
    path = legacy_models.call("make_with_hidden_operator", returns=Path)
    with pytest.raises(UnsupportedModelError, match="operator WriteFile"):
        edgeml.build(path)


@pytest.fixture
def rewritten(net_file: Path, tmp_path: Path) -> Callable[..., Path]:
    """Writes the digits net with another configuration, other weights or more entries."""

    def write(
        config: Callable[[dict[str, Any]], None] | None = None,
        weights: Callable[[h5py.File], None] | None = None,
        extra: dict[str, bytes] | None = None,
    ) -> Path:
        path = tmp_path / "model.keras"
        with zipfile.ZipFile(net_file) as source, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for name in source.namelist():
                data = source.read(name)
                if name == "config.json" and config is not None:
                    parsed = json.loads(data)
                    config(parsed)
                    data = json.dumps(parsed).encode()
                if name == "model.weights.h5" and weights is not None:
                    buffer = io.BytesIO(data)
                    with h5py.File(buffer, "r+") as file:
                        weights(file)
                    data = buffer.getvalue()
                archive.writestr(name, data)
            for name, data in (extra or {}).items():
                archive.writestr(name, data)
        return path

    return write


def last_layer(config: dict[str, Any]) -> dict[str, Any]:
    layer: dict[str, Any] = config["config"]["layers"][-1]
    return layer


@pytest.mark.slow
@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("os", "system"),
        ("subprocess", "Popen"),
        ("keras.utils", "get_file"),
        ("keras.saving", "load_model"),
        ("keras.src.utils.file_utils", "get_file"),
        ("kerasx.layers", "Dense"),
        ("tensorflow.io", "write_file"),
    ],
)
def test_a_foreign_module(rewritten: Callable[..., Path], module: str, name: str) -> None:
    def change(config: dict[str, Any]) -> None:
        last_layer(config).update(module=module, class_name=name)

    with pytest.raises(UnsupportedModelError, match=f"'{name}' of {module} is not among Keras's own"):
        edgeml.build(rewritten(change))


def test_a_function_of_a_foreign_module(rewritten: Callable[..., Path]) -> None:
    def change(config: dict[str, Any]) -> None:
        function = {"module": "os", "class_name": "function", "config": "system", "registered_name": "system"}
        last_layer(config)["config"]["activation"] = function

    with pytest.raises(UnsupportedModelError, match="'system' of os"):
        edgeml.build(rewritten(change))


def test_a_registered_class_of_others(rewritten: Callable[..., Path]) -> None:
    def change(config: dict[str, Any]) -> None:
        last_layer(config).update(module=None, class_name="Mine", registered_name="pkg>Mine")

    with pytest.raises(UnsupportedModelError, match="'pkg>Mine' is not among Keras's own"):
        edgeml.build(rewritten(change))


@pytest.mark.parametrize("kind", ["TFSMLayer", "TorchModuleWrapper"])
def test_a_layer_that_loads_another_model(rewritten: Callable[..., Path], kind: str) -> None:
    with pytest.raises(UnsupportedModelError, match=f"a {kind} loads another model"):
        edgeml.build(rewritten(lambda config: last_layer(config).update(class_name=kind)))


def test_a_vocabulary_in_a_file(rewritten: Callable[..., Path]) -> None:
    def change(config: dict[str, Any]) -> None:
        last_layer(config).update(class_name="StringLookup", config={"vocabulary": "/etc/passwd"})

    with pytest.raises(UnsupportedModelError, match="reads the file '/etc/passwd'"):
        edgeml.build(rewritten(change))


@pytest.mark.slow
def test_layers_larger_than_the_file(rewritten: Callable[..., Path]) -> None:
    def change(config: dict[str, Any]) -> None:
        last_layer(config)["config"]["units"] = 2**33

    with pytest.raises(InputError, match=r"layers ask for \d+ weights, but the file holds"):
        edgeml.build(rewritten(change))


@pytest.mark.slow
def test_layers_larger_than_the_file_in_keras_2(legacy_models: Worker, tmp_path: Path) -> None:
    path = tmp_path / "model.h5"
    path.write_bytes(legacy_models.call("make", "sigmoid", ".h5", returns=Path).read_bytes())
    with h5py.File(path, "r+") as file:
        config = json.loads(file.attrs["model_config"])
        last_layer(config)["config"]["units"] = 2**33
        file.attrs["model_config"] = json.dumps(config)
    with pytest.raises(InputError, match=r"layers ask for \d+ weights, but the file holds"):
        edgeml.build(path)


def _link(file: h5py.File) -> None:
    file["stolen"] = h5py.ExternalLink("/etc/passwd", "/")


def _external(file: h5py.File) -> None:
    file.create_dataset("stolen", (16,), "u1", external=[("/etc/passwd", 0, 16)])


def _virtual(file: h5py.File) -> None:
    layout = h5py.VirtualLayout((16,), "f4")
    layout[:] = h5py.VirtualSource("/tmp/other.h5", "x", (16,))
    file.create_virtual_dataset("stolen", layout)


def _huge(file: h5py.File) -> None:
    file.create_dataset("huge", (2**40,), "f4", chunks=(2**16,))


H5 = pytest.mark.parametrize(
    ("change", "error", "reason"),
    [
        (_link, UnsupportedModelError, "link to another file, '/etc/passwd'"),
        (_external, UnsupportedModelError, "keeps its data in another file"),
        (_virtual, UnsupportedModelError, "is a virtual data set"),
        (_huge, InputError, r"declares \d+ bytes"),
    ],
)


@H5
def test_weights_that_lie_elsewhere(
    rewritten: Callable[..., Path], change: Callable[[h5py.File], None], error: type[EdgemlError], reason: str
) -> None:
    with pytest.raises(error, match=reason):
        edgeml.build(rewritten(weights=change))


@H5
def test_weights_that_lie_elsewhere_in_keras_2(
    legacy_models: Worker,
    tmp_path: Path,
    change: Callable[[h5py.File], None],
    error: type[EdgemlError],
    reason: str,
) -> None:
    path = tmp_path / "model.h5"
    path.write_bytes(legacy_models.call("make", "sigmoid", ".h5", returns=Path).read_bytes())
    with h5py.File(path, "r+") as file:
        change(file)
    with pytest.raises(error, match=reason):
        edgeml.build(path)


@pytest.mark.parametrize("name", ["../evil", "/evil", "a/../../evil", "..\\evil", "C:\\evil"])
def test_an_entry_that_leads_out_of_the_archive(rewritten: Callable[..., Path], name: str) -> None:
    with pytest.raises(InputError, match="points outside the archive"):
        edgeml.build(rewritten(extra={name: b"x"}))


def test_an_archive_that_swells(rewritten: Callable[..., Path]) -> None:
    with pytest.raises(InputError, match=r"declares \d+ bytes in \d+ entries"):
        edgeml.build(rewritten(extra={"assets/zeros": bytes(2**27)}))


# --- ONNX ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("hide", EXTERNAL_DATA.values(), ids=EXTERNAL_DATA.keys())
def test_onnx_data_in_another_file(hide: Callable[[onnx.ModelProto], None], tmp_path: Path) -> None:
    model = linear()
    hide(model)
    path = tmp_path / "model.onnx"
    path.write_bytes(model.SerializeToString())
    with pytest.raises(UnsupportedModelError, match="is stored in another file"):
        edgeml.build(path)


@pytest.mark.parametrize("trust", [False, True])
def test_onnx_data_outside_the_folder_is_never_read(tmp_path: Path, trust: bool) -> None:
    (tmp_path / "secret.bin").write_bytes(bytes(64))
    (tmp_path / "inner" / "deeper").mkdir(parents=True)
    (tmp_path / "inner" / "deeper" / "secret.bin").write_bytes(bytes(64))
    (tmp_path / "inner" / "link.bin").symlink_to(tmp_path / "secret.bin")
    path = tmp_path / "inner" / "model.onnx"
    for location in ("../secret.bin", str(tmp_path / "secret.bin"), "deeper/secret.bin", "link.bin", "..", ".", ""):
        model = linear()
        EXTERNAL_DATA["initializer"](model)
        for entry in model.graph.initializer[0].external_data:
            entry.value = location if entry.key == "location" else entry.value
        path.write_bytes(model.SerializeToString())
        with pytest.raises(UnsupportedModelError, match="is stored in another file"):
            edgeml.build(path, trust_source=trust)


def test_onnx_data_of_another_size_or_none(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    onnx.save(linear(), path, save_as_external_data=True, location="weights.bin", size_threshold=0)
    weights, model = (tmp_path / "weights.bin").read_bytes(), onnx.load(path, load_external_data=False)
    (tmp_path / "weights.bin").write_bytes(weights[:-1])
    with pytest.raises(InputError, match=r"expected 64 bytes, and the file has 63"):
        edgeml.build(path)
    (tmp_path / "weights.bin").unlink()
    with pytest.raises(InputError, match="it does not exist"):
        edgeml.build(path)
    (tmp_path / "weights.bin").write_bytes(weights)
    for key, value in (("offset", "x"), ("offset", "-4"), ("offset", "1"), ("length", "60"), ("length", "1" * 30)):
        wrong = onnx.ModelProto.FromString(model.SerializeToString())
        wrong.graph.initializer[0].external_data.add(key=key, value=value)
        path.write_bytes(wrong.SerializeToString())
        with pytest.raises(InputError, match="the data of the tensor"):
            edgeml.build(path)


@pytest.mark.parametrize(("domain", "kind"), [("evil.custom", "Run"), ("com.microsoft", "EPContext")])
def test_onnx_operators_of_others(domain: str, kind: str, tmp_path: Path) -> None:
    model = linear()
    model.graph.node.add(op_type=kind, domain=domain, input=["x"], output=["k"])
    path = tmp_path / "model.onnx"
    path.write_bytes(model.SerializeToString())
    with pytest.raises(UnsupportedModelError, match=f"the operator {kind} is of the domain '{domain}'"):
        edgeml.build(path)


def _declared(model: onnx.ModelProto) -> None:
    model.graph.initializer[0].dims[:] = [2**31, 2**31]


def _filled(model: onnx.ModelProto) -> None:
    model.graph.initializer.append(numpy_helper.from_array(np.array([2**40], np.int64), "shape"))
    model.graph.node.add(op_type="ConstantOfShape", input=["shape"], output=["k"])


def _wide(model: onnx.ModelProto) -> None:
    model.graph.input[0].type.tensor_type.shape.dim[1].dim_value = 2**40


@pytest.mark.parametrize("change", [_declared, _filled, _wide])
def test_onnx_sizes_beyond_all_measure(change: Callable[[onnx.ModelProto], None], tmp_path: Path) -> None:
    model = linear()
    change(model)
    path = tmp_path / "model.onnx"
    path.write_bytes(model.SerializeToString())
    with pytest.raises((InputError, UnsupportedModelError), match=r"declares the shape|asks for|elements|corrupt"):
        edgeml.build(path)


# --- damage --------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("recipe", ["tflite-int8", "onnx-fp32"])
def test_a_thousand_mutants(net_package: edgeml.Package, tmp_path: Path, recipe: str) -> None:
    framework = recipe.partition("-")[0]
    path = tmp_path / f"mutant.{framework}"
    came: Counter[str] = Counter()
    killers: list[bytes] = []
    with Worker("tests.support.mutants:Attempts", AttemptsSettings(tmp_path), tmp_path) as worker:
        for data in mutants(artifact_bytes(net_package, recipe), MUTANTS, seed=3):
            path.write_bytes(data)
            try:
                came[worker.call("attempt", framework, path, returns=str, timeout_s=3)] += 1
            except WorkerCrash as error:  # the child died, and another takes over
                came["died"] += 1
                if not isinstance(error, WorkerTimeout):  # a build would wait for that one
                    killers.append(data)
    assert came.total() == MUTANTS
    assert set(came) <= {"made", "died", "InputError", "UnsupportedModelError", "ConversionError", "TargetError"}, came
    assert came["InputError"] > MUTANTS // 10
    assert came["died"] < MUTANTS // 20, came
    for data in killers[:2]:
        path.write_bytes(data)
        # What kills one process may spare another: such files make the engine read beyond their end.
        with contextlib.suppress(InputError, UnsupportedModelError, ConversionError):
            edgeml.build(path)


@pytest.mark.parametrize(("framework", "codes"), [("tflite", {1, 2}), ("onnx", {1, 2})])
def test_the_command_tells_of_damage(
    run: Callable[..., Any], net_package: edgeml.Package, tmp_path: Path, framework: str, codes: set[int]
) -> None:
    path = tmp_path / f"model.{framework}"
    path.write_bytes(artifact_bytes(net_package, f"{framework}-fp32")[:3000])
    done = run("build", path, "-o", tmp_path / "out.edgeml")
    assert done.returncode in codes
    assert "Traceback" not in done.stderr
    assert path.name in done.stderr
    assert not (tmp_path / "out.edgeml").exists()


def test_the_command_takes_what_is_trusted(run: Callable[..., Any], tmp_path: Path) -> None:
    x = np.random.default_rng(0).standard_normal((60, 4)).astype(np.float32)
    path = tmp_path / "model.pkl"
    path.write_bytes(pickle.dumps(LogisticRegression().fit(x, x[:, 0] > 0)))
    arguments = ("build", path, "-o", tmp_path / "out.edgeml", "--recipe", "onnx-fp32")
    refused = run(*arguments)
    assert refused.returncode == 1
    assert "--trust-source" in refused.stderr
    assert run(*arguments, "--trust-source").returncode == 0
    np.save(tmp_path / "x.npy", x)
    for command in (("verify", tmp_path / "out.edgeml"), ("predict", tmp_path / "out.edgeml", tmp_path / "x.npy")):
        output = ("-o", tmp_path / "out.npz") if command[0] == "predict" else ()
        refused = run(*command, *output)
        assert refused.returncode == 1
        assert "built with trust_source=True" in refused.stderr
        assert run(*command, *output, "--trust-source").returncode == 0
    assert run("inspect", tmp_path / "out.edgeml").returncode == 0
