"""Bare TFLite and ONNX files as subjects of benchmarks, in place of packages."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgeml.core.artifact import Artifact
from edgeml.core.conversion import ConversionJob, Converter, Source
from edgeml.core.errors import InputError, TargetError, UnsupportedModelError
from edgeml.core.isolation import Isolation
from edgeml.core.recipe import find_recipe
from edgeml.core.records.benchmark_results import FileRef
from edgeml.core.registry.engines import find_engine
from edgeml.core.registry.tables import CONVERTERS, SOURCES
from edgeml.core.session import Session
from edgeml.core.source import SourceInfo
from edgeml.core.system.digest import digest_of
from edgeml.core.system.files import read_bytes
from edgeml.core.system.imports import resolve
from edgeml.core.system.limits import Limits
from edgeml.core.system.temporary import TemporaryFolder
from edgeml.core.tensors import TensorSpec
from edgeml.measurement.subject import Measurable

__all__ = ["ModelFile", "open_model_file"]

_RANDOM_SAMPLES = 16  # as many as a package has golden inputs
_SEED = 0


@dataclass(frozen=True, slots=True)
class ModelFile:
    """A `measurement.subject.Measurable` with a single artifact, which is not verified.

    Attributes:
        ref: Name, size and digest of the file, with its inputs and outputs.
        sizes: Numbers that free sizes of the file are fixed at, by name.
    """

    ref: FileRef
    _path: Path
    _artifact: Artifact
    _inputs: Mapping[str, np.ndarray]
    sizes: Mapping[str, int]

    @property
    def label(self) -> str:
        """Name of the file."""
        return self.ref.name

    @property
    def name(self) -> str:
        """Name of the file."""
        return self.ref.name

    @property
    def version(self) -> str:
        """Always empty: a model file does not have a version."""
        return ""

    @property
    def released(self) -> tuple[str, ...]:
        """Recipe of the file."""
        return (self._artifact.recipe,)

    def size_bytes(self, recipe: str) -> int:
        """Return the size of the file.

        Raises:
            InputError: The file is of another recipe.
        """
        self._check(recipe)
        return self.ref.size_bytes

    def golden_inputs(self, sizes: Mapping[str, int] | None = None) -> dict[str, np.ndarray]:  # noqa: ARG002  # fixed
        """Return the inputs of the package that the file is compared with; otherwise seeded random inputs."""
        return dict(self._inputs)

    def digest(self) -> str:
        """Return the digest of the file."""
        return self.ref.digest

    def save(self, path: str | Path) -> None:
        """Copy the file."""
        Path(path).write_bytes(self._path.read_bytes())

    def session(
        self,
        recipe: str | None = None,
        *,
        target: str = "cpu",
        threads: int | None = None,
        allow_fallback: bool = False,
        isolated: bool | Isolation | Limits = False,
        sizes: Mapping[str, int] | None = None,  # noqa: ARG002  # fixed
    ) -> Session:
        """Open a session of the file, with float inputs and outputs as for a package's artifacts.

        Raises:
            InputError: The file is of another recipe.
            MissingDependencyError: The engine is not installed.
            TargetError: The target does not exist, or the engine cannot run the file there.
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
                isolation=Limits() if isolated is True else isolated or None,
            )
        except TargetError as error:
            raise type(error)(f"{self.label}: {error.message}", fix=error.fix, log=error.log) from error

    def _check(self, recipe: str) -> None:
        if recipe != self._artifact.recipe:
            raise InputError(f"{self.label}: expected the recipe {self._artifact.recipe}, got '{recipe}'.")


def open_model_file(
    path: Path,
    *,
    reference: Measurable | None = None,
    trust: bool = False,
    sizes: Mapping[str, int] | None = None,
) -> ModelFile:
    """Open a model file, audited and described as in `build`, without a verdict.

    Args:
        path: The ``.tflite`` or ``.onnx`` file.
        reference: Package that the file is measured in turn with, and whose inputs the file must accept.
        trust: Accept the findings of the audit.
        sizes: Numbers for free sizes of the file, by name; by default those of `reference`, if the file has them.

    Raises:
        InputError: The file does not exist, is not a valid model, or expects other inputs than `reference`.
        StorageError: The file cannot be read.
        UnsupportedModelError: The audit found something, the model is not supported, or the values of its integer
            inputs are unknown.
        MissingDependencyError: The package that reads the file is not installed.
    """
    format_ = path.suffix.lower().removeprefix(".")
    source, numbers = _open_source(path, format_, sizes, reference, trust=trust)
    convert: Converter = resolve(CONVERTERS[format_, format_])
    with TemporaryFolder() as folder:
        artifact = convert(source, find_recipe(source.info.architecture), ConversionJob(folder))
    data = read_bytes(path)
    signature = artifact.signature
    inputs_text, outputs_text = (", ".join(map(_describe, specs)) for specs in (signature.inputs, signature.outputs))
    ref = FileRef(path.name, len(data), digest_of(data), inputs_text, outputs_text)
    if reference is None:
        inputs = _random_inputs(source.info, path.name)
    else:
        inputs = _inputs_of(reference, signature.inputs, path.name, numbers)
    return ModelFile(ref, path, artifact, inputs, numbers)


def _open_source(
    path: Path, format_: str, sizes: Mapping[str, int] | None, reference: Measurable | None, *, trust: bool
) -> tuple[Source, dict[str, int]]:
    """Return the source, and the numbers that its free sizes are fixed at."""
    open_source = resolve(SOURCES[format_]).open_source
    numbers = dict(sizes or (reference.sizes if reference is not None else {}))
    if numbers and reference is not None:
        with contextlib.suppress(InputError):  # the sizes are those of the package: this file's may be fixed
            return open_source(path, trust=trust, sizes=numbers), numbers
        numbers = {}
    return open_source(path, trust=trust, sizes=numbers), numbers


def _describe(spec: TensorSpec) -> str:
    return f"{spec.name} {spec.dtype} {_sizes(spec.shape)}"


def _sizes(shape: tuple[int | None, ...]) -> str:
    return f"[{', '.join('any' if size is None else str(size) for size in shape)}]"


def _random_inputs(info: SourceInfo, name: str) -> dict[str, np.ndarray]:
    if info.whole_inputs:
        raise UnsupportedModelError(
            f"{name}: the inputs {', '.join(info.whole_inputs)} are integers, and their valid values are unknown.",
            fix=f"give the package that has them: edgeml bench PACKAGE --compare {name}; or build one from the file.",
        )
    rng = np.random.default_rng(_SEED)
    return {
        spec.name: rng.standard_normal((_RANDOM_SAMPLES, *(size or 1 for size in spec.shape[1:])), dtype=np.float32)
        for spec in info.signature.inputs
    }


def _inputs_of(
    reference: Measurable, specs: tuple[TensorSpec, ...], name: str, sizes: Mapping[str, int]
) -> dict[str, np.ndarray]:
    """Return the golden inputs of `reference` under the file's names: a single input by position, several by name.

    Raises:
        InputError: The file expects other inputs.
    """
    golden = reference.golden_inputs(sizes if sizes and reference.sizes else None)
    single = len(golden) == len(specs) == 1
    inputs = {specs[0].name: next(iter(golden.values()))} if single else golden
    if {key: array.shape[1:] for key, array in inputs.items()} != {spec.name: spec.shape[1:] for spec in specs}:
        expected = ", ".join(f"{spec.name} {_sizes((None, *spec.shape[1:]))}" for spec in specs)
        available = ", ".join(f"{key} {_sizes((None, *array.shape[1:]))}" for key, array in golden.items())
        raise InputError(
            f"{name} expects other inputs than {reference.label}: {expected} instead of {available}.",
            fix=f"compare models of the same task: use a file with these inputs{'' if single else ', by these names'}.",
        )
    return inputs
