"""Inspection of bare model files, in a child process: parsers of damaged files may crash."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from msgspec import Struct

from edgeml.core.errors import EdgemlError, InputError
from edgeml.core.formats.contents import FileContents, TensorContents
from edgeml.core.formats.file_kind import recognize_file
from edgeml.core.recipe import RECIPES
from edgeml.core.registry.tables import CONVERTERS, SOURCES
from edgeml.core.source import FILES, SourceInfo
from edgeml.core.system.digest import digest_of
from edgeml.core.system.files import read_bytes
from edgeml.core.system.imports import resolve
from edgeml.core.system.temporary import TemporaryFolder
from edgeml.core.system.text import as_unicode
from edgeml.core.system.worker import Worker, WorkerCrash
from edgeml.core.tensors import TensorSpec

__all__ = ["FileInspector", "InspectorSettings", "ModelFileReport", "RefusedRecipe", "inspect_model_file"]

_TIMEOUT_S = 300.0
_NAMES = {"tflite": "TFLite", "onnx": "ONNX"}
_IDENTIFIER = b"TFL3"


class RefusedRecipe(Struct, frozen=True):
    """A recipe that cannot be made of a file.

    Attributes:
        recipe: The recipe.
        reason: Why not.
        fix: What to do about it; empty if nothing is known.
    """

    recipe: str
    reason: str
    fix: str = ""


class ModelFileReport(Struct, frozen=True):
    """A bare model file.

    Attributes:
        file: Its name.
        format: ``tflite``, ``onnx``, ``keras``, ``tf_keras`` (Keras 2) or ``sklearn``.
        size_bytes: Its size.
        digest: ``sha256:…`` of its bytes.
        architecture: Name of the model's class, or of the recipe that an existing file is; empty if unknown.
        task: What the model does, as far as the file says so.
        labels: Labels of a scikit-learn classifier; other files do not hold theirs.
        contents: Its tensors, operators, versions and metadata.
        recipes: Recipes that ``edgeml build`` can make of it, or try.
        refused: The others, with the reasons.
    """

    file: str
    format: str
    size_bytes: int
    digest: str
    architecture: str
    task: str
    labels: tuple[str, ...]
    contents: FileContents
    recipes: tuple[str, ...]
    refused: tuple[RefusedRecipe, ...]


class InspectorSettings(Struct, frozen=True):
    """The file to inspect.

    Attributes:
        file: Its path.
        framework: A key of `SOURCES`.
    """

    file: Path
    framework: str


class FileInspector:
    """The inspection of one model file. Runs in a child process."""

    def __init__(self, settings: InspectorSettings) -> None:
        self._path, self._framework = settings.file, settings.framework

    def inspect(self) -> ModelFileReport:
        """Read the file, without running any of it.

        Raises:
            InputError: The file is damaged.
            UnsupportedModelError: The model cannot be loaded; only of frameworks whose files need them.
            MissingDependencyError: What reads the file is not installed.
        """
        bare = self._framework in FILES
        data = read_bytes(self._path) if self._path.is_file() else b""
        contents = self._bare_contents(data) if bare else FileContents()
        info, problem = None, None
        try:
            source = resolve(SOURCES[self._framework]).open_source(self._path)
            info = source.info
            if not bare:
                contents = _loaded_contents(source)
        except EdgemlError as error:
            if not bare:
                raise
            problem = error
        recipes, refused = self._recipes(info, problem)
        # A file or a Keras model has positions for labels, which are not worth showing.
        decision = info.decision if info is not None and self._framework == "sklearn" else None
        return ModelFileReport(
            as_unicode(self._path.name),
            self._framework,
            len(data),
            digest_of(data) if data else "",
            info.architecture if info is not None else "",
            (info.task if info is not None else None) or "",
            tuple(str(label) for label in decision.labels) if decision is not None else (),
            contents,
            recipes,
            refused,
        )

    def _bare_contents(self, data: bytes) -> FileContents:
        if self._framework == "onnx":
            return _parse_onnx(data, self._path.name)
        from edgeml.core.formats.tflite_contents import tflite_contents

        if data[4:8] != _IDENTIFIER:
            raise InputError(
                f"{self._path.name} is not a TFLite file: expected the identifier TFL3 in its head, got {data[4:8]!r}.",
                fix="get the file again.",
            )
        try:
            return tflite_contents(data)
        except Exception as error:  # the parser trusts every offset in the file
            raise InputError(
                f"{self._path.name} is damaged: it cannot be parsed ({type(error).__name__}: {error}).",
                fix="get the file again.",
            ) from error

    def _recipes(
        self, info: SourceInfo | None, problem: EdgemlError | None
    ) -> tuple[tuple[str, ...], tuple[RefusedRecipe, ...]]:
        """Return the recipes that can be made or tried, and the others."""
        possible, refused = [], []
        for recipe in RECIPES:
            reason, fix = "", "build from the model that the file was made from."
            if (self._framework, recipe.format) not in CONVERTERS:
                reason = f"converting {_NAMES[self._framework]} to {_NAMES[recipe.format]} is not supported."
            elif info is None:
                assert problem is not None
                reason, fix = problem.message, problem.fix
            elif self._framework in FILES and info.architecture not in {recipe.id, "onnx-fp32"}:
                reason = f"the file is {info.architecture}; only ONNX in float32 is converted to other precisions."
            if reason:
                refused.append(RefusedRecipe(recipe.id, reason, fix))
            else:
                possible.append(recipe.id)
        return tuple(possible), tuple(refused)


def _parse_onnx(data: bytes, name: str) -> FileContents:
    import onnx
    from google.protobuf.message import DecodeError

    from edgeml.core.formats.onnx_contents import onnx_contents

    try:
        model = onnx.ModelProto.FromString(data)
        if not model.graph.node:
            raise InputError(f"{name} is not an ONNX file, or is damaged: it does not have operators.")
        return onnx_contents(model)
    except (DecodeError, UnicodeDecodeError) as error:
        raise InputError(
            f"{name} is not an ONNX file, or is damaged: it cannot be parsed ({error}).", fix="get the file again."
        ) from error


def _loaded_contents(source: Any) -> FileContents:
    """Describe a loaded model of a framework: its tensors, its layers or steps, the versions of its packages."""
    info: SourceInfo = source.info
    layers = getattr(source.model, "layers", None)
    counts = Counter(type(layer).__name__ for layer in layers or ())
    metadata = {"computes in": info.computes} if info.computes else {}
    return FileContents(
        tuple(_tensors(info.signature.inputs)),
        tuple(_tensors(info.signature.outputs)),
        dict(counts.most_common()),
        versions=dict(info.versions),
        metadata=metadata,
    )


def _tensors(specs: tuple[TensorSpec, ...]) -> Iterator[TensorContents]:
    for spec in specs:
        yield TensorContents(spec.name, tuple("batch" if size is None else size for size in spec.shape), spec.dtype)


def inspect_model_file(path: Path) -> ModelFileReport:
    """Inspect a model file in a child process.

    Raises:
        InputError: The file is damaged, or is not a model file.
        UnsupportedModelError: The file is a pickle, or the model cannot be loaded.
        MissingDependencyError: What reads the file is not installed.
    """
    from edgeml.pipeline.source_model import ModelFile, crash_error, model_file

    with TemporaryFolder() as folder:
        kind = recognize_file(path)
        if kind is not None and kind.format in FILES:  # whatever its ending
            file = ModelFile(kind.format, Path(os.path.realpath(path)))
        else:
            file = model_file(path, folder)
        settings = InspectorSettings(file.path, file.framework)
        with Worker(f"{FileInspector.__module__}:FileInspector", settings, folder) as child:
            try:
                return child.call("inspect", returns=ModelFileReport, timeout_s=_TIMEOUT_S)
            except WorkerCrash as error:
                raise crash_error(file, "read", error) from error
