"""The manifest of a package, format 1: canonical JSON."""

from typing import Annotated

import msgspec
from msgspec import Meta

from edgeml.core.artifact import Needs
from edgeml.core.encoding import check_encoding
from edgeml.core.errors import PackageError
from edgeml.core.goal import Goal, Verdict
from edgeml.core.preprocessing import Declaration, check_declaration
from edgeml.core.recipe import RECIPES
from edgeml.core.records.evidence import Evaluation, Latency
from edgeml.core.records.record import Record, decode_strict
from edgeml.core.source import SourceInfo
from edgeml.core.system.machine import Cpu
from edgeml.core.tensors import Signature, TensorSpec
from edgeml.package.format import FORMAT

__all__ = [
    "MAX_MANIFEST_BYTES",
    "ArtifactRecord",
    "DataRecord",
    "FileRecord",
    "Golden",
    "GoldenRun",
    "Manifest",
    "Name",
    "RefusalRecord",
    "Text",
    "Version",
    "decode_manifest",
    "encode_manifest",
]

MAX_MANIFEST_BYTES = 16 * 2**20
MIN_GOLDEN_SAMPLES = 16

Name = Annotated[str, Meta(pattern=r"^[a-z0-9]([a-z0-9._-]{0,62}[a-z0-9])?$")]
# https://semver.org, without leading zeros
Version = Annotated[
    str,
    Meta(
        pattern=r"^(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?$",
        max_length=128,
    ),
]
Digest = Annotated[str, Meta(pattern=r"^sha256:[0-9a-f]{64}$")]
Text = Annotated[str, Meta(max_length=10_000)]
Size = Annotated[int, Meta(ge=0)]


class FileRecord(Record, frozen=True):
    """An entry of the archive.

    Attributes:
        size_bytes: Size of the entry.
        sha256: Digest of the entry, ``sha256:…``.
    """

    size_bytes: Size
    sha256: Digest


class ArtifactRecord(Record, frozen=True):
    """An artifact, with its proof.

    Attributes:
        recipe: The artifact's recipe, which is also the artifact's name.
        file: Name of the entry with the model file.
        signature: Inputs and outputs of the model file.
        needs: Engine, operators and CPU features that the artifact requires.
        lineage: Steps of the conversion, first to last.
        evaluation: Accuracy and parity with the source.
        verdict: Whether the artifact is released or rejected, with the reasons.
        measurement: Latency of one sample on one thread, if measured.
        evidence: Name of the entry with the details, a `core.records.evidence_details.Evidence`, if present.
    """

    recipe: str
    file: str
    signature: Signature
    needs: Needs
    lineage: tuple[Text, ...]
    evaluation: Evaluation
    verdict: Verdict
    measurement: Latency | None = None
    evidence: str | None = None


class RefusalRecord(Record, frozen=True):
    """A recipe that was requested and refused.

    Attributes:
        recipe: The recipe.
        reason: Reason of the refusal.
        fix: Suggestion for the user; may be empty.
    """

    recipe: str
    reason: Text
    fix: Text = ""


class GoldenRun(Record, frozen=True):
    """Outputs of one engine family for the golden inputs, in the artifact's own dtypes.

    Attributes:
        recipe: The artifact's recipe.
        family: The engine family, for instance ``xnnpack``.
        engine_version: Version of the engine.
        outputs: Name of the entry with each output, by output name.
        bounds: Largest allowed difference to another run of the family, by output name: in steps for integers, in
            absolute value for floats. Labels must be equal and do not have a bound.
    """

    recipe: str
    family: str
    engine_version: Text
    outputs: dict[str, str]
    bounds: dict[str, float]


class Golden(Record, frozen=True):
    """The golden vectors: inputs, the source's outputs, the outputs of each engine family.

    Attributes:
        samples: Number of golden inputs.
        inputs: Name of the entry with each input, by input name.
        outputs: Name of the entry with each of the source's outputs, by output name.
        runs: One run per artifact and engine family.
    """

    samples: Size
    inputs: dict[str, str]
    outputs: dict[str, str]
    runs: tuple[GoldenRun, ...]


class DataRecord(Record, frozen=True):
    """The data that the proof rests on.

    Attributes:
        judged_on: ``evaluation``, ``calibration``, or ``drawn``: seeded random inputs of the signature's shapes.
        judged_samples: Number of samples that artifacts were judged on.
        labelled: Whether true labels or values were available.
        calibration_samples: Number of calibration samples; 0 without calibration data.
        overlap: Number of evaluation samples that are calibration samples too.
        calibration: Digest of the calibration inputs.
        evaluation: Digest of the evaluation data.
        reference: Digest of the reference outputs that the caller passed; None if the source computed them.
    """

    judged_on: str
    judged_samples: Size
    labelled: bool
    calibration_samples: Size = 0
    overlap: Size = 0
    calibration: Digest | None = None
    evaluation: Digest | None = None
    reference: Digest | None = None


class Manifest(Record, frozen=True):
    """The manifest of a package.

    Attributes:
        format: Number of the package format.
        edgeml: Version of edgeml that built the package.
        name: Name of the package.
        version: Semantic version of the package.
        source: Description of the model that was converted; its labels are the package's labels.
        data: Description of the data that the proof rests on.
        goal: Bounds that a released artifact keeps.
        tools: Versions of the tools that took part, by name.
        cpu: The processor on which figures and golden vectors were computed.
        artifacts: Released and rejected artifacts.
        refused: Recipes that were refused.
        golden: The golden vectors.
        files: All entries except the manifest, by name.
        licence: License of the model, an SPDX expression; may be empty.
        author: Author of the model; may be empty.
        preprocessing: Declarations of how raw input becomes an input's values, by input name.
        training: Name of the entry with the epochs of the training, if edgeml trained the model.
        trust_source: Whether the author of the source was trusted when the package was built: then artifacts may use
            operators that engines do not bring, and opening them takes the same trust.
    """

    format: int
    edgeml: Text
    name: Name
    version: Version
    source: SourceInfo
    data: DataRecord
    goal: Goal
    tools: dict[str, str]
    cpu: Cpu
    artifacts: tuple[ArtifactRecord, ...]
    refused: tuple[RefusalRecord, ...]
    golden: Golden
    files: dict[str, FileRecord]
    licence: Text = ""
    author: Text = ""
    preprocessing: dict[str, Declaration] = msgspec.field(default_factory=dict)
    training: str | None = None
    trust_source: bool = False


def encode_manifest(manifest: Manifest) -> bytes:
    """Return the canonical JSON text of a manifest."""
    return msgspec.json.format(msgspec.json.encode(manifest, order="deterministic"), indent=1) + b"\n"


def decode_manifest(data: bytes, label: str) -> Manifest:
    """Read a manifest strictly.

    Args:
        data: The JSON text.
        label: Name of the package in messages.

    Raises:
        PackageError: The data are not a manifest of format 1 in canonical form, or name entries that are not listed.
    """
    invalid = f"{label}: the manifest is invalid"
    manifest = decode_strict(data, Manifest, label, error=PackageError, unsound=invalid, format_=FORMAT)
    if encode_manifest(manifest) != data:
        raise PackageError(f"{label}: the manifest is not in the canonical form of format {FORMAT}.")
    _check_references(manifest, label)
    _check_encodings(manifest, label)
    return manifest


def _check_references(manifest: Manifest, label: str) -> None:
    golden = manifest.golden
    named = [record.file for record in manifest.artifacts]
    named += [record.evidence for record in manifest.artifacts if record.evidence]
    named += [manifest.training] if manifest.training is not None else []
    for group in (golden.inputs, golden.outputs, *(run.outputs for run in golden.runs)):
        named += group.values()
    if sorted(named) != sorted(manifest.files):
        differing = sorted(set(named) ^ set(manifest.files)) or ["a name occurs twice"]
        raise PackageError(
            f"{label}: the manifest's list of files does not match its references: {', '.join(differing[:5])}."
        )
    specs = {spec.name: spec for spec in manifest.source.signature.inputs}
    for name, declaration in manifest.preprocessing.items():
        problem = check_declaration(declaration, specs[name]) if name in specs else "the model does not have this input"
        if problem:
            raise PackageError(f"{label}: the preprocessing of input '{name}' is invalid: {problem}.")
    for signature in (manifest.source.signature, *(record.signature for record in manifest.artifacts)):
        for spec in signature.inputs:
            columns = spec.shape[-1] or 0 if spec.shape else 0
            if not isinstance(spec.missing_values, bool) and not all(
                0 <= place < columns for place in spec.missing_values
            ):
                raise PackageError(
                    f"{label}: input '{spec.name}': got columns {list(spec.missing_values)[:5]} with missing values, "
                    f"expected numbers below {columns}."
                )
    recipes = {record.recipe: record for record in manifest.artifacts}
    unknown = sorted(set(recipes) - {recipe.id for recipe in RECIPES})
    if unknown:
        from edgeml.core.system.installation import upgrade_command  # for errors alone

        raise PackageError(
            f"{label}: recipe '{unknown[0]}' is not known to this version of edgeml.",
            fix=f"the package was made by a newer version: {upgrade_command()}",
        )
    if len(recipes) != len(manifest.artifacts) or not {run.recipe for run in golden.runs} <= set(recipes):
        raise PackageError(f"{label}: the manifest lists an artifact twice, or a golden run without its artifact.")
    if golden.runs and golden.samples < MIN_GOLDEN_SAMPLES:
        raise PackageError(f"{label}: got {golden.samples} golden inputs, expected at least {MIN_GOLDEN_SAMPLES}.")
    for run in golden.runs:
        signature = recipes[run.recipe].signature
        if not _same_names(golden.inputs, signature.inputs) or not _same_names(run.outputs, signature.outputs):
            raise PackageError(f"{label}: the golden vectors of {run.recipe} do not match its tensors.")


def _check_encodings(manifest: Manifest, label: str) -> None:
    """Check that encodings fit the shapes of artifacts' inputs, and that other tensors do not have any."""
    plain = [*manifest.source.signature.inputs, *manifest.source.signature.outputs]
    for record in manifest.artifacts:
        plain += record.signature.outputs
        for spec in record.signature.inputs:
            problem = spec.encoding and check_encoding(spec.encoding, spec.shape)
            if problem:
                raise PackageError(
                    f"{label}: the encoding of input '{spec.name}' of {record.recipe} is invalid: {problem}."
                )
    if any(spec.encoding for spec in plain):
        raise PackageError(f"{label}: a tensor other than an artifact's input has an encoding.")


def _same_names(files: dict[str, str], specs: tuple[TensorSpec, ...]) -> bool:
    return sorted(files) == sorted(spec.name for spec in specs)
