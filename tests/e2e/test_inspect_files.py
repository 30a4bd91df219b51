"""`edgeml inspect` of bare model files, and of files that are neither a package nor a model."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import edgeml

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def folder(net_package: edgeml.Package, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The artifacts of a package as bare files, named by their recipe."""
    path = tmp_path_factory.mktemp("files")
    for record in net_package.manifest.artifacts:
        format_ = record.recipe.partition("-")[0]
        (path / f"{record.recipe}.{format_}").write_bytes(net_package.read(record.file))
    return path


def inspected(run: Run, path: Path) -> Any:
    done = run("inspect", path, "--json")
    assert (done.returncode, done.stderr) == (0, "")
    return json.loads(done.stdout)


@pytest.mark.slow
@pytest.mark.parametrize("recipe", ["tflite-fp32", "tflite-int8", "tflite-int16x8"])
def test_a_tflite_file_is_what_its_interpreter_says(recipe: str, run: Run, folder: Path) -> None:
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    path = folder / f"{recipe}.tflite"
    report = inspected(run, path)
    assert (report["format"], report["architecture"], report["size_bytes"]) == ("tflite", recipe, path.stat().st_size)
    interpreter = Interpreter(str(path), experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES)
    for kind, details in (("inputs", interpreter.get_input_details()), ("outputs", interpreter.get_output_details())):
        (tensor,), (detail,) = report["contents"][kind], details
        assert tensor["shape"] == detail["shape"].tolist()
        assert tensor["dtype"] == np.dtype(detail["dtype"]).name
        scale, zero_point = detail["quantization"]
        assert tensor.get("quantization") == ({"scale": scale, "zero_point": zero_point} if scale else None)
    operators = Counter(item["op_name"] for item in interpreter._get_ops_details() if item["op_name"] != "DELEGATE")
    assert report["contents"]["operators"] == dict(operators)
    assert report["recipes"] == [recipe]
    assert {item["recipe"] for item in report["refused"]} == {r.id for r in edgeml.RECIPES} - {recipe}


@pytest.mark.slow
def test_an_onnx_file_is_what_onnx_says(run: Run, folder: Path) -> None:
    import onnx

    report = inspected(run, folder / "onnx-fp32.onnx")
    model = onnx.load(folder / "onnx-fp32.onnx")
    assert report["contents"]["operators"] == dict(Counter(node.op_type for node in model.graph.node))
    assert report["contents"]["inputs"] == [{"name": "image", "shape": ["batch", 8, 8, 1], "dtype": "float32"}]
    assert report["contents"]["versions"] == {"ONNX IR": "8", "opset ai.onnx": str(model.opset_import[0].version)}
    assert report["recipes"] == ["onnx-fp32", "onnx-fp16", "onnx-dynamic", "onnx-int8"]
    assert {item["reason"] for item in report["refused"]} == {"converting ONNX to TFLite is not supported."}


@pytest.mark.slow
def test_a_file_that_is_not_packaged_says_why(run: Run, tmp_path: Path) -> None:
    import onnx
    from onnx import TensorProto, helper

    graph = helper.make_graph(
        [
            helper.make_node("Relu", ["in\x1b[2J"], ["out"]),
            helper.make_node("Odd", ["out"], ["y"], domain="acme.\u202e"),
        ],
        "g",
        [helper.make_tensor_value_info("in\x1b[2J", TensorProto.FLOAT, ["n", None, 3])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 4])],
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("acme.\u202e", 1)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=8, producer_name="acme")
    onnx.save(model, tmp_path / "net.onnx")
    report = inspected(run, tmp_path / "net.onnx")
    assert report["recipes"] == []
    assert report["contents"]["operators"] == {"Relu": 1, "acme.\u202e.Odd": 1}
    assert report["contents"]["metadata"] == {"producer": "acme"}
    assert any("is of the domain" in item["reason"] for item in report["refused"])
    done = run("inspect", tmp_path / "net.onnx")
    shown = done.stdout + done.stderr
    assert done.returncode == 0
    assert "\x1b" not in shown
    assert "\u202e" not in shown
    assert "input     in\\x1b[2J [n, ?, 3] float32" in shown


@pytest.mark.slow
def test_models_of_frameworks_show_their_layers_and_signature(run: Run, net_file: Path, pipeline_file: Path) -> None:
    report = inspected(run, net_file)
    assert (report["format"], report["architecture"], report["task"]) == ("keras", "Sequential", "classification")
    assert report["contents"]["inputs"] == [{"name": "image", "shape": ["batch", 8, 8, 1], "dtype": "float32"}]
    assert report["contents"]["operators"]["Conv2D"] == 2
    assert set(report["recipes"]) == {recipe.id for recipe in edgeml.RECIPES}
    report = inspected(run, pipeline_file)
    assert report["architecture"] == "Pipeline(StandardScaler, PCA, LogisticRegression)"
    assert report["labels"] == [str(digit) for digit in range(10)]


@pytest.mark.slow
def test_the_text_has_a_line_for_each_property(run: Run, folder: Path) -> None:
    done = run("inspect", folder / "tflite-int8.tflite")
    assert done.returncode == 0, done.stderr
    lines = (done.stdout + done.stderr).splitlines()
    assert lines[0].startswith("tflite-int8.tflite: TFLite model, ")
    assert any(line.startswith("input     image [1, 8, 8, 1] int8, 0.00392157 × (q − -128)") for line in lines)
    assert any(line.startswith("operators ") and "CONV_2D 2" in line for line in lines)
    assert "recipes   tflite-int8" in lines
    assert "build     edgeml build tflite-int8.tflite -o tflite-int8.edgeml" in lines


def test_neither_tflite_nor_onnx_loads_a_framework(folder: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from edgeml.cli.file_inspection import FileInspector, InspectorSettings;"
        "[FileInspector(InspectorSettings(Path(path), path.rpartition('.')[2])).inspect() for path in sys.argv[1:]];"
        "print({'tensorflow', 'keras', 'sklearn', 'onnxruntime', 'ai_edge_litert.interpreter'} & set(sys.modules))"
    )
    files = [folder / "tflite-int8.tflite", folder / "onnx-fp32.onnx"]
    done = subprocess.run([sys.executable, "-c", code, *files], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "content", "code", "words"),
    [
        ("cut.tflite", "tflite-int8.tflite", 2, "cut.tflite is damaged: it cannot be parsed"),
        ("cut.onnx", "onnx-fp32.onnx", 2, "cut.onnx is not an ONNX file, or is damaged"),
        ("empty.tflite", b"", 2, "empty.tflite is not a TFLite file"),
        ("text.tflite", b"not a model\n" * 9, 3, "text.tflite is a text file, not an edgeml package"),
        ("m.pkl", b"\x80\x04x.", 3, "m.pkl is a pickle, not an edgeml package"),
        ("x.npz", None, 3, "x.npz is an archive of NumPy arrays, not an edgeml package"),
        ("x.npy", None, 3, "x.npy is a NumPy array, not an edgeml package"),
        ("photo.png", b"\x89PNG\r\n\x1a\n" + b"\0" * 20, 3, "photo.png is a PNG image, not an edgeml package"),
        ("clip.wav", b"RIFF\0\0\0\0WAVEfmt ", 3, "clip.wav is a WAV file, not an edgeml package"),
        ("rows.csv", b"a,b\n1,2\n3,4\n", 3, "rows.csv is a CSV table, not an edgeml package"),
        ("r.json", b'{"measurements": []}', 3, "r.json is a results file of edgeml bench, not an edgeml package"),
    ],
)
@pytest.mark.parametrize("command", ["inspect", "predict"])
def test_another_file_is_named_for_what_it_is(
    name: str, content: bytes | str | None, code: int, words: str, command: str, run: Run, folder: Path, tmp_path: Path
) -> None:
    path = tmp_path / name
    if isinstance(content, str):
        path.write_bytes((folder / content).read_bytes()[:3000])
    elif content is not None:
        path.write_bytes(content)
    elif path.suffix == ".npz":
        np.savez(path, x=np.zeros(3))
    else:
        np.save(path, np.zeros(3))
    np.save(tmp_path / "in.npy", np.zeros((1, 8, 8, 1), np.float32))
    more = [tmp_path / "in.npy", "-o", tmp_path / "out.csv"] if command == "predict" else []
    done = run(command, path, *more)
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    if command == "inspect":
        assert (done.returncode, words in done.stderr) == (code, True), done.stderr
    else:
        assert done.returncode == 3
        assert "not an edgeml package" in done.stderr or "not a package" in done.stderr


@pytest.mark.parametrize("command", ["explain", "verify", "report"])
def test_a_model_file_is_to_be_built_first(command: str, run: Run, net_file: Path, tmp_path: Path) -> None:
    more = ["-o", tmp_path / "r.html"] if command == "report" else []
    done = run(command, net_file, *more)
    assert done.returncode == 3
    assert "digits-net.keras is a Keras model, not an edgeml package." in done.stderr
    assert "edgeml build digits-net.keras -o digits-net.edgeml" in done.stderr


def test_a_folder_names_the_packages_in_it(run: Run, net_package_file: Path) -> None:
    done = run("inspect", net_package_file.parent)
    assert done.returncode == 2
    assert "is a folder, not an edgeml package" in done.stderr
    assert net_package_file.name in done.stderr
