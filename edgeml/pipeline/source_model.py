"""The source model as a file: the caller's own, or one saved from an object in memory."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType

from edgeml.core.errors import EdgemlError, InputError, UnsupportedModelError
from edgeml.core.free_sizes import SizeOption, checked_option
from edgeml.core.registry.tables import SOURCES
from edgeml.core.source import FILES
from edgeml.core.system.files import read_errors
from edgeml.core.system.imports import resolve
from edgeml.core.system.worker import WorkerCrash, WorkerTimeout
from edgeml.sources.states import StateOption

__all__ = ["ModelFile", "crash_error", "model_file"]

# Files and folders of Keras go to one loader, which reads in the file whether Keras 2 or Keras 3 wrote it.
_FRAMEWORK_OF_SUFFIX = {
    ".keras": "keras",
    ".h5": "keras",
    ".hdf5": "keras",
    ".skops": "sklearn",
    ".tflite": "tflite",
    ".onnx": "onnx",
}
_IN_MEMORY = ("keras", "tf_keras", "sklearn")
_PICKLES = {".pkl", ".pickle", ".joblib", ".dill"}
_SUPPORTED = "supported are Keras models, fitted scikit-learn estimators, and .tflite and .onnx files"
_TO_ONNX = "convert it to ONNX with the framework's own tools, and build from the .onnx file."
_WHOLE_MODEL = "load it into the model, and save the whole model."
_TF_TO_ONNX = "python -m tf2onnx.convert --saved-model FOLDER --output model.onnx"
_FROM_TORCH = "export it with torch.onnx.export(model, inputs, 'model.onnx'), and build from the .onnx file."

# Files of other frameworks by suffix: the file's kind, and the way from it to a file that can be used.
_OTHER_FILES: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        ".pt": ("a PyTorch file", _FROM_TORCH),
        ".pth": ("a PyTorch file", _FROM_TORCH),
        ".pt2": ("a PyTorch file", _FROM_TORCH),
        ".ckpt": (
            "a checkpoint, which holds weights without a model",
            "load it into the model, and save the whole model.",
        ),
        ".safetensors": ("a file of weights without a model", "load it into the model, and save the whole model."),
        ".pb": (
            "a TensorFlow graph",
            f"pass the folder of the SavedModel instead, or convert that to ONNX: {_TF_TO_ONNX}",
        ),
        ".mlmodel": ("a Core ML file", "build from the model that it was converted from."),
        ".mlpackage": ("a Core ML file", "build from the model that it was converted from."),
        ".ubj": ("an XGBoost file", _TO_ONNX),
        ".cbm": ("a CatBoost file", "save it with save_model('model.onnx', format='onnx'), and build from that file."),
        ".gguf": ("a file of a language model", "language models are not supported."),
        ".edgeml": ("a package that edgeml has already built", "pass the model that it was built from."),
    }
)

# Libraries whose models in memory are not supported: the library's name, and the way to a file that can be used.
_OTHER_LIBRARIES: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "torch": ("PyTorch", _FROM_TORCH),
        "tensorflow": (
            "TensorFlow",
            f"build from a Keras model; or save it with tf.saved_model.save(), and convert that to ONNX: {_TF_TO_ONNX}",
        ),
        "jax": ("JAX", _TO_ONNX),
        "flax": ("Flax", _TO_ONNX),
        "xgboost": ("XGBoost", _TO_ONNX),
        "lightgbm": ("LightGBM", _TO_ONNX),
        "catboost": ("CatBoost", "save it with save_model('model.onnx', format='onnx'), and build from that file."),
        "onnx": ("ONNX", "save it with onnx.save(model, 'model.onnx'), and pass the path."),
        "onnxruntime": ("ONNX Runtime", "pass the path of the .onnx file."),
        "ai_edge_litert": ("LiteRT", "pass the path of the .tflite file."),
    }
)


@dataclass(frozen=True, slots=True)
class ModelFile:
    """A saved model.

    Attributes:
        framework: Key of `SOURCES`: the loader of the file.
        path: The file, or the folder of a SavedModel.
        sizes: A number for each free size of a ``.tflite`` or ``.onnx`` file, or those that it is proven at, by name.
        stateful: Whether such a file keeps a state, or which outputs hold the next states by input; None if unknown.
        saved: Whether edgeml saved the file from an object in memory, whose types the caller already runs.
    """

    framework: str
    path: Path
    sizes: SizeOption = field(default_factory=dict)
    stateful: StateOption = None
    saved: bool = False


def model_file(
    model: object,
    folder: Path,
    *,
    trust: bool = False,
    sizes: Mapping[str, int | Sequence[int]] | None = None,
    stateful: bool | Mapping[str, str] | None = None,
) -> ModelFile:
    """Return the model's file: the caller's own, or one saved into `folder` from an object in memory.

    Raises:
        InputError: The file does not exist, or is of an unknown kind; or `sizes` belong to no model file.
        UnsupportedModelError: The model is of a framework that is not supported, or cannot be saved.
    """
    if isinstance(model, str | os.PathLike):
        path = Path(model)
        file = _existing_file(path, trust=trust)
        return replace(file, sizes=_checked_sizes(sizes, path), stateful=_checked_state(stateful, path))
    _checked_sizes(sizes, None)
    _checked_state(stateful, None)
    packages = {parent.__module__.partition(".")[0] for parent in type(model).__mro__}
    for framework in _IN_MEMORY:
        if framework in packages:
            module = resolve(SOURCES[framework])
            path = folder / f"source{module.SUFFIX}"
            module.save(model, path)
            return ModelFile(framework, path, saved=True)
    raise _unsupported_object(model, packages)


def _checked_sizes(sizes: object, path: Path | None) -> SizeOption:
    if not sizes:
        return {}
    if path is None or path.suffix.lower().removeprefix(".") not in FILES:
        raise InputError(
            "sizes: only .tflite and .onnx files have free sizes.",
            fix="fix the sizes in the model; batch= fixes the batch.",
        )
    return checked_option(sizes)


def _checked_state(stateful: object, path: Path | None) -> StateOption:
    if stateful is None or stateful is False:
        return stateful
    if path is None or path.suffix.lower().removeprefix(".") not in FILES:
        raise InputError(
            "stateful: only .tflite and .onnx files can be packaged with a state.",
            fix="export the model with its state as inputs and outputs, and build from that file.",
        )
    if isinstance(stateful, Mapping) and all(isinstance(name, str) for pair in stateful.items() for name in pair):
        return dict(stateful) or True
    if stateful is not True:
        raise InputError(
            f"stateful: got {stateful!r:.80}, expected True, False, or a dict from inputs to their next values."
        )
    return True


def _unsupported_object(model: object, packages: set[str]) -> EdgemlError:
    """Return the error for an object of no supported framework, which names what the object is."""
    if isinstance(model, type):
        return InputError(
            f"model: expected a model, got the class {model.__qualname__}.",
            fix="create an instance of it, and train it.",
        )
    if isinstance(model, bytes | bytearray):
        return InputError(
            "model: expected a model or a path, got bytes.", fix="save them to a file, and pass its path."
        )
    kind = type(model)
    name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    for package, (library, fix) in _OTHER_LIBRARIES.items():
        if package in packages:
            return UnsupportedModelError(f"model: {name} of {library} is not supported in memory.", fix=fix)
    if callable(getattr(model, "predict", None)):
        return UnsupportedModelError(
            f"model: {name} is neither a Keras model nor a scikit-learn estimator; its predict() alone does not show "
            "what it computes.",
            fix=f"pass the model that it wraps: {_SUPPORTED}.",
        )
    return UnsupportedModelError(f"model: objects of the type {name} are not supported.", fix=f"{_SUPPORTED}.")


def _existing_file(path: Path, *, trust: bool) -> ModelFile:
    with read_errors(path):
        path.stat()
    suffix = path.suffix.lower()
    if suffix in _PICKLES:
        if trust:
            return ModelFile("sklearn", Path(os.path.realpath(path)))
        raise UnsupportedModelError(
            f"{path.name} is a pickle: loading it runs any code that it holds.",
            fix="save the estimator with skops.io.dump(model, 'model.skops'); or, if you trust the author of the file "
            "with your files and your machine, use --trust-source (trust_source=True).",
        )
    if suffix in _OTHER_FILES:
        kind, fix = _OTHER_FILES[suffix]
        raise UnsupportedModelError(f"{path.name} is {kind}, which cannot be built from.", fix=fix)
    if path.is_dir():
        return ModelFile("keras", Path(os.path.realpath(path)))
    if suffix not in _FRAMEWORK_OF_SUFFIX:
        raise InputError(
            f"{path.name}: the file type {path.suffix!r} is not supported.",
            fix=f"pass a file that ends in {', '.join(_FRAMEWORK_OF_SUFFIX)}, or a SavedModel folder.",
        )
    return ModelFile(_FRAMEWORK_OF_SUFFIX[suffix], Path(os.path.realpath(path)))


def crash_error(file: ModelFile, action: str, error: WorkerCrash) -> UnsupportedModelError:
    """Return the error of a model that ended the process that worked on it.

    Args:
        file: The model's file.
        action: What cannot be done with the model, as ``loaded``.
        error: How the process ended.
    """
    fix = "the file is corrupt or of another format: get an intact one, or build from the original model."
    if isinstance(error, WorkerTimeout):
        fix = "if the model is known to be slow, allow more: timeout_s= (--timeout on the command line)."
    return UnsupportedModelError(
        f"{file.path.name} cannot be {action}: {error.message}",
        fix=fix,
        log=error.log,
    )
