"""What a package says of itself: format 1, as canonical JSON."""

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
from edgeml.core.system.installation import upgrade_command
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
    """An entry of the archive."""

    size_bytes: Size
    sha256: Digest


class ArtifactRecord(Record, frozen=True):
    """An artifact and all that is known of it.

    Attributes:
        recipe: Its recipe, which also names it.
        file: The entry with its bytes.
        evidence: The entry with the details, a `core.records.evidence_details.Evidence`, if there is one.
        lineage: The steps that made it.
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
    """A recipe that was asked for and is not in the package."""

    recipe: str
    reason: Text
    fix: Text = ""


class GoldenRun(Record, frozen=True):
    """What one engine family gave for the golden inputs, in the artifact's own dtypes.

    Attributes:
        outputs: Entry by output name.
        bounds: The most that another run of the family may differ, by output name: in steps for integers, in
            absolute value for floats. Labels must be equal and have none.
    """

    recipe: str
    family: str
    engine_version: Text
    outputs: dict[str, str]
    bounds: dict[str, float]


class Golden(Record, frozen=True):
    """The golden vectors: inputs, the source's answers, each engine family's answers."""

    samples: Size
    inputs: dict[str, str]
    outputs: dict[str, str]
    runs: tuple[GoldenRun, ...]


class DataRecord(Record, frozen=True):
    """The data that the proof rests on.

    Attributes:
        judged_on: ``evaluation``, ``calibration``, or ``drawn``: seeded inputs drawn from the signature.
        judged_samples: How many.
        labelled: Whether true labels or targets were there.
        calibration_samples: How many; 0 without.
        overlap: Number of the evaluation samples that are among the calibration samples too.
        calibration: Digest of the calibration inputs. `evaluation`: of the evaluation data.
        reference: Digest of the answers that the caller gave for the source's own; None where it gave them itself.
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
        source: The model that was converted; its labels are the package's.
        tools: Version by name of all that took part.
        cpu: The processor on which figures and golden vectors were found.
        files: All entries but the manifest.
        preprocessing: How raw input becomes the values of an input, by its name, where that was declared.
        training: The entry with the epochs of the training, where edgeml trained the model.
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


def encode_manifest(manifest: Manifest) -> bytes:
    """The one JSON text of a manifest."""
    return msgspec.json.format(msgspec.json.encode(manifest, order="deterministic"), indent=1) + b"\n"


def decode_manifest(data: bytes, label: str) -> Manifest:
    """Reads a manifest strictly.

    Args:
        data: The JSON text.
        label: What to call the package in messages.

    Raises:
        PackageError: It is not a manifest of format 1 in canonical form, or names entries that it does not list.
    """
    unsound = f"{label}: the manifest is not sound"
    manifest = decode_strict(data, Manifest, label, error=PackageError, unsound=unsound, format_=FORMAT)
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
        odd = sorted(set(named) ^ set(manifest.files)) or ["one is named twice"]
        raise PackageError(f"{label}: the manifest's list of files does not match what it names: {', '.join(odd[:5])}.")
    specs = {spec.name: spec for spec in manifest.source.signature.inputs}
    for name, declaration in manifest.preprocessing.items():
        problem = check_declaration(declaration, specs[name]) if name in specs else "there is no such input"
        if problem:
            raise PackageError(f"{label}: the preprocessing of input '{name}' is not sound: {problem}.")
    for signature in (manifest.source.signature, *(record.signature for record in manifest.artifacts)):
        for spec in signature.inputs:
            columns = spec.shape[-1] or 0 if spec.shape else 0
            if not isinstance(spec.missing_values, bool) and not all(
                0 <= place < columns for place in spec.missing_values
            ):
                raise PackageError(
                    f"{label}: input '{spec.name}' has no such columns as {list(spec.missing_values)[:5]}."
                )
    recipes = {record.recipe: record for record in manifest.artifacts}
    unknown = sorted(set(recipes) - {recipe.id for recipe in RECIPES})
    if unknown:
        raise PackageError(
            f"{label}: this edgeml knows no recipe '{unknown[0]}'.",
            fix=f"it was made by a newer edgeml: {upgrade_command()}",
        )
    if len(recipes) != len(manifest.artifacts) or not {run.recipe for run in golden.runs} <= set(recipes):
        raise PackageError(f"{label}: the manifest names an artifact twice, or a golden run of none.")
    if golden.runs and golden.samples < MIN_GOLDEN_SAMPLES:
        raise PackageError(
            f"{label}: there are {golden.samples} golden inputs, expected at least {MIN_GOLDEN_SAMPLES}."
        )
    for run in golden.runs:
        signature = recipes[run.recipe].signature
        if not _same_names(golden.inputs, signature.inputs) or not _same_names(run.outputs, signature.outputs):
            raise PackageError(f"{label}: the golden vectors of {run.recipe} are not those of its tensors.")


def _check_encodings(manifest: Manifest, label: str) -> None:
    """Holds the encodings of artifacts' inputs to their shapes, and finds none elsewhere."""
    plain = [*manifest.source.signature.inputs, *manifest.source.signature.outputs]
    for record in manifest.artifacts:
        plain += record.signature.outputs
        for spec in record.signature.inputs:
            problem = spec.encoding and check_encoding(spec.encoding, spec.shape)
            if problem:
                raise PackageError(
                    f"{label}: the encoding of input '{spec.name}' of {record.recipe} is not sound: {problem}."
                )
    if any(spec.encoding for spec in plain):
        raise PackageError(f"{label}: a tensor other than an artifact's input has an encoding.")


def _same_names(files: dict[str, str], specs: tuple[TensorSpec, ...]) -> bool:
    return sorted(files) == sorted(spec.name for spec in specs)
