"""The manifest of a package, format 1: canonical JSON."""

from typing import Annotated

import msgspec
from msgspec import Meta

from edgeml.core.artifact import Needs
from edgeml.core.goal import Goal, Verdict
from edgeml.core.preprocessing import Declaration
from edgeml.core.records.evidence import Evaluation, Latency
from edgeml.core.records.record import Record
from edgeml.core.source import SourceInfo
from edgeml.core.system.machine import Cpu
from edgeml.core.tensors import Signature

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
    "encode_manifest",
]

MAX_MANIFEST_BYTES = 16 * 2**20

Name = Annotated[str, Meta(pattern=r"^[a-z0-9]([a-z0-9._-]{0,62}[a-z0-9])?\Z")]
# https://semver.org, without leading zeros
Version = Annotated[
    str,
    Meta(
        pattern=r"^(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?\Z",
        max_length=128,
    ),
]
Digest = Annotated[str, Meta(pattern=r"^sha256:[0-9a-f]{64}\Z")]
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
        sizes: Their number for each free size, by name; empty without free sizes.
    """

    samples: Size
    inputs: dict[str, str]
    outputs: dict[str, str]
    runs: tuple[GoldenRun, ...]
    sizes: dict[str, int] = msgspec.field(default_factory=dict)


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
        golden_at: Golden vectors at other sizes, of artifacts with free sizes.
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
    golden_at: tuple[Golden, ...] = ()


def encode_manifest(manifest: Manifest) -> bytes:
    """Return the canonical JSON text of a manifest."""
    return msgspec.json.format(msgspec.json.encode(manifest, order="deterministic"), indent=1) + b"\n"
