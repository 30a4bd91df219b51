"""An existing TFLite or ONNX file, ready to be measured as packages are."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgeml.core.artifact import Artifact
from edgeml.core.conversion import ConversionJob, Converter, Source
from edgeml.core.errors import InputError, TargetError, UnsupportedModelError
from edgeml.core.recipe import find_recipe
from edgeml.core.records.benchmark_results import FileRef
from edgeml.core.registry.engines import find_engine
from edgeml.core.registry.tables import CONVERTERS, SOURCES
from edgeml.core.session import Session
from edgeml.core.source import SourceInfo
from edgeml.core.system.digest import digest_of
from edgeml.core.system.imports import resolve
from edgeml.core.tensors import TensorSpec
from edgeml.measurement.subject import Packaged

__all__ = ["BareFile", "open_bare_file"]

_DRAWN = 16  # as many as a package has golden inputs
_DRAWN_SEED = 0


@dataclass(frozen=True, slots=True)
class BareFile:
    """A `measurement.subject.Packaged` of one artifact, of which nothing is proven.

    Attributes:
        ref: Which file, and what it takes and gives.
    """

    ref: FileRef
    _path: Path
    _artifact: Artifact
    _inputs: Mapping[str, np.ndarray]

    @property
    def label(self) -> str:
        """The file's name."""
        return self.ref.name

    @property
    def name(self) -> str:
        """The file's name."""
        return self.ref.name

    @property
    def version(self) -> str:
        """None: a file tells none."""
        return ""

    @property
    def released(self) -> tuple[str, ...]:
        """The recipe that the file is."""
        return (self._artifact.recipe,)

    def size_bytes(self, recipe: str) -> int:
        """Of the file.

        Raises:
            InputError: It is of another recipe.
        """
        self._check(recipe)
        return self.ref.size_bytes

    def golden_inputs(self) -> dict[str, np.ndarray]:
        """Those of the package that it is measured beside; else seeded ones."""
        return dict(self._inputs)

    def digest(self) -> str:
        """Of the file."""
        return self.ref.digest

    def save(self, path: str | Path) -> None:
        """Writes the file as it is."""
        Path(path).write_bytes(self._path.read_bytes())

    def session(
        self,
        recipe: str | None = None,
        *,
        target: str = "cpu",
        threads: int | None = None,
        allow_fallback: bool = False,
    ) -> Session:
        """Makes the file ready, with floats in and out as a package's artifacts have.

        Raises:
            InputError: It is of another recipe.
            MissingDependencyError: The engine is not installed.
            TargetError: There is no such target, or the engine cannot run the file there.
        """
        self._check(recipe or self._artifact.recipe)
        opener = find_engine(find_recipe(self._artifact.recipe).format, target)
        try:
            return opener(
                self._artifact.data,
                self._artifact.signature,
                needs=self._artifact.needs,
                target=target,
                threads=threads,
                allow_fallback=allow_fallback,
            )
        except TargetError as error:
            raise TargetError(f"{self.label}: {error.message}", fix=error.fix, log=error.log) from error

    def _check(self, recipe: str) -> None:
        if recipe != self._artifact.recipe:
            raise InputError(f"{self.label} has no artifact '{recipe}'; it is {self._artifact.recipe}.")


def open_bare_file(path: Path, *, beside: Packaged | None = None, trust: bool = False) -> BareFile:
    """Opens a model file. It is audited and described as `build` does it, and nothing is judged.

    Args:
        path: The ``.tflite`` or ``.onnx`` file.
        beside: What it is measured in turn with, whose inputs it must take.
        trust: Whether what the audit finds is let through.

    Raises:
        InputError: There is no such file, it is no sound model, its inputs are others, or nothing tells its values.
        StorageError: It cannot be read.
        UnsupportedModelError: The audit found something, or it is a model that edgeml does not carry.
        MissingDependencyError: What reads it is not installed.
    """
    format_ = path.suffix.lower().removeprefix(".")
    source: Source = resolve(SOURCES[format_]).open_source(path, trust=trust)
    convert: Converter = resolve(CONVERTERS[format_, format_])
    with tempfile.TemporaryDirectory(prefix="edgeml-") as folder:
        artifact = convert(source, find_recipe(source.info.architecture), ConversionJob(Path(folder)))
    data = path.read_bytes()
    takes, gives = (", ".join(map(_told, specs)) for specs in (artifact.signature.inputs, artifact.signature.outputs))
    ref = FileRef(path.name, len(data), digest_of(data), takes, gives)
    inputs = _drawn(source.info, path.name) if beside is None else _taken(beside, artifact.signature.inputs, path.name)
    return BareFile(ref, path, artifact, inputs)


def _told(spec: TensorSpec) -> str:
    return f"{spec.name} {spec.dtype} {_sizes(spec.shape)}"


def _sizes(shape: tuple[int | None, ...]) -> str:
    return f"[{', '.join('any' if size is None else str(size) for size in shape)}]"


def _drawn(info: SourceInfo, name: str) -> dict[str, np.ndarray]:
    if info.whole_inputs:
        raise UnsupportedModelError(
            f"{name}: the inputs {', '.join(info.whole_inputs)} take whole numbers, and nothing tells which.",
            fix=f"give the package that has them: edgeml bench PACKAGE --compare {name}; or build one from the file.",
        )
    rng = np.random.default_rng(_DRAWN_SEED)
    return {
        spec.name: rng.standard_normal((_DRAWN, *(size or 1 for size in spec.shape[1:])), dtype=np.float32)
        for spec in info.signature.inputs
    }


def _taken(beside: Packaged, specs: tuple[TensorSpec, ...], name: str) -> dict[str, np.ndarray]:
    """The other's golden inputs under the file's names: a lone one whatever its name, several by theirs.

    Raises:
        InputError: The file takes others.
    """
    given = beside.golden_inputs()
    lone = len(given) == len(specs) == 1
    inputs = {specs[0].name: next(iter(given.values()))} if lone else given
    if {key: array.shape[1:] for key, array in inputs.items()} != {spec.name: spec.shape[1:] for spec in specs}:
        here = ", ".join(f"{spec.name} {_sizes((None, *spec.shape[1:]))}" for spec in specs)
        there = ", ".join(f"{key} {_sizes((None, *array.shape[1:]))}" for key, array in given.items())
        raise InputError(
            f"{name} takes other inputs than {beside.label}: {here}, and not {there}.",
            fix="compare what does the same work: take or make a file with these inputs"
            f"{'' if lone else ', by these names'}.",
        )
    return inputs
