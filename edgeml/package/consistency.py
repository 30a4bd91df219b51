"""Consistency of a manifest: what its parts say of each other, and which figures can be.

A rule of building is not among these: packages that exist keep opening.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator

import numpy as np

from edgeml.core.decisions import DECIDED, Decision
from edgeml.core.encoding import check_encoding
from edgeml.core.errors import PackageError
from edgeml.core.free_sizes import MAX_SIZE
from edgeml.core.preprocessing import check_declaration
from edgeml.core.recipe import RECIPES
from edgeml.core.records.evidence import PERCENT_METRICS, Fidelity, PartFidelity
from edgeml.core.tensors import Signature, TensorSpec, holds_integers
from edgeml.core.texts import MAX_LABEL_CHARS, pads_too_much
from edgeml.package.manifest import ArtifactRecord, Golden, Manifest

__all__ = ["check_consistency"]

MIN_GOLDEN_SAMPLES = 16
_MAX_ELEMENTS = 2**31  # of a sample
_MAX_SQNR_DB = 200.0
_INTEGERS = ("int8", "uint8", "int16", "int32", "int64")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_MAX_SIZE_NAME = 1000
_SHARES = ("accuracy", "f1", "auc", "mean_iou", "mean_average_precision", "recall_at_1", "recall_at_5")

Problems = Iterator[str]
"""Clauses about the manifest."""


def check_consistency(manifest: Manifest, label: str) -> None:
    """Check that the parts of a manifest do not contradict each other.

    Args:
        manifest: The manifest, of valid types.
        label: Name of the package in messages.

    Raises:
        PackageError: They do, or the manifest describes a model that this version of edgeml does not support.
    """
    for problem in _newer(manifest):
        from edgeml.core.system.installation import upgrade_command  # for errors alone

        raise PackageError(
            f"{label}: {problem}, which is not supported by this version of edgeml.",
            fix=f"the package was made by a newer version: {upgrade_command()}",
        )
    checks: tuple[Callable[[Manifest], Problems], ...] = (
        _check_files, _check_signatures, _check_parts, _check_decision, _check_artifacts, _check_golden, _check_source,
        _check_figures,
    )  # fmt: skip
    for check in checks:
        for problem in check(manifest):
            raise PackageError(f"{label}: the manifest contradicts itself: {problem}.")


def _signatures(manifest: Manifest) -> Iterator[tuple[str, Signature]]:
    yield "the source", manifest.source.signature
    for record in manifest.artifacts:
        yield record.recipe, record.signature


def _newer(manifest: Manifest) -> Problems:
    """Yield what later versions may add, and today's sessions cannot serve."""
    known = {recipe.id for recipe in RECIPES}
    for record in manifest.artifacts:
        if record.recipe not in known:
            yield f"recipe '{record.recipe}' is not known"
    for owner, signature in _signatures(manifest):
        for spec in (*signature.inputs, *signature.outputs):
            if not spec.shape:
                yield f"'{spec.name}' of {owner} is a scalar without a batch"
        batches = {spec.shape[0] for spec in (*signature.inputs, *signature.outputs) if spec.shape}
        if len(batches) > 1:
            yield f"the tensors of {owner} do not have one batch size"
        for meaning in ("label", "position") if manifest.source.heads else ("scores", "label", "position"):
            if len({spec.source_name for spec in signature.outputs if spec.meaning == meaning}) > 1:
                yield f"{owner} has several outputs that mean {meaning}"


def _check_states(signature: Signature, owner: str) -> Problems:
    states = [spec.state for spec in signature.inputs if spec.state]
    if not states:
        return
    visible = signature.visible
    if len(set(states)) < len(states) or not set(states) <= {spec.name for spec in signature.outputs}:
        yield f"{owner} has a state without an output of its own"
    if not visible.inputs or not visible.outputs:
        yield f"{owner} has no inputs or outputs but its state"


def _check_files(manifest: Manifest) -> Problems:
    named = [record.file for record in manifest.artifacts]
    named += [record.evidence for record in manifest.artifacts if record.evidence]
    named += [manifest.training] if manifest.training is not None else []
    for golden in (manifest.golden, *manifest.golden_at):
        for group in (golden.inputs, golden.outputs, *(run.outputs for run in golden.runs)):
            named += group.values()
    if sorted(named) != sorted(manifest.files):
        differing = sorted(set(named) ^ set(manifest.files)) or ["a name occurs twice"]
        yield f"the list of files does not match its references: {', '.join(differing[:5])}"


def _check_signatures(manifest: Manifest) -> Problems:
    for owner, signature in _signatures(manifest):
        if not signature.inputs or not signature.outputs:
            yield f"{owner} has {len(signature.inputs)} inputs and {len(signature.outputs)} outputs"
        for specs in (signature.inputs, signature.outputs):
            names = [spec.name for spec in specs]
            if len(set(names)) != len(names) or "" in names:
                yield f"{owner} has two tensors of one name, or one without a name"
            for spec in specs:
                yield from _check_spec(spec, owner)
        yield from _check_states(signature, owner)
        yield from _check_free_sizes(signature, owner)
        if any(spec.meaning != "values" for spec in signature.inputs):
            yield f"an input of {owner} means something else than values"
        for spec in (*signature.inputs, *signature.outputs):
            if spec.source_dtype is not None and (spec in signature.inputs or not _is_castable(spec)):
                yield f"'{spec.name}' of {owner} is {spec.dtype}, and {spec.source_dtype} in the source"
    for spec in (*manifest.source.signature.inputs, *manifest.source.signature.outputs):
        if spec.quantization is not None or spec.meaning in DECIDED:
            yield f"'{spec.name}' of the source is quantized, or holds labels"


def _check_free_sizes(signature: Signature, owner: str) -> Problems:
    for spec in signature.inputs:
        count = spec.shape[1:].count(None)
        if len(spec.sizes) != count or not all(0 < len(name) <= _MAX_SIZE_NAME for name in spec.sizes):
            yield f"'{spec.name}' of {owner} has {count} free sizes, and {len(spec.sizes)} names for them"
        if spec.sizes and (spec.encoding is not None or spec.state):
            yield f"'{spec.name}' of {owner} has free sizes, and an encoding or a state"
    if any(spec.sizes for spec in signature.outputs):
        yield f"an output of {owner} names free sizes, which only inputs do"
    if not signature.free_sizes and any(None in spec.shape[1:] for spec in signature.outputs):
        yield f"an output of {owner} has free sizes, and its inputs have none"


def _is_castable(spec: TensorSpec) -> bool:
    """Return whether sessions can cast an output to its dtype in the source."""
    return holds_integers(spec) and spec.meaning not in DECIDED and spec.source_dtype in {"float32", *_INTEGERS, "bool"}


def _check_spec(spec: TensorSpec, owner: str) -> Problems:
    place = f"'{spec.name}' of {owner}"
    sizes = [size for size in spec.shape if size is not None]
    if any(size < 1 for size in sizes[:1]) or any(size < 0 for size in sizes) or math.prod(sizes) > _MAX_ELEMENTS:
        yield f"{place} has the shape {list(spec.shape)[:8]}"
    quantization = spec.quantization
    if quantization is not None:
        if spec.dtype not in _INTEGERS:
            yield f"{place} is quantized, and of dtype {spec.dtype}"
        elif not 0 < quantization.scale < math.inf:
            yield f"{place} has a scale of {quantization.scale:g}"
        else:
            limits = np.iinfo(spec.dtype)
            if not limits.min <= quantization.zero_point <= limits.max:
                yield f"{place} has a zero point of {quantization.zero_point} for {spec.dtype}"
    if spec.unbatched and spec.shape[:1] != (1,):
        yield f"{place} has no batch in the file, and the shape {list(spec.shape)}, expected 1 as the first size"
    if spec.dtype == "string" and spec.meaning in {"scores", "position"}:
        yield f"{place} is text, and means {spec.meaning}"
    if spec.meaning == "position" and spec.dtype not in {*_INTEGERS, "float32"}:
        yield f"{place} holds positions of labels as {spec.dtype}"
    if not isinstance(spec.missing_values, bool):
        columns = spec.shape[-1] or 0 if spec.shape else 0
        if not all(0 <= column < columns for column in spec.missing_values):
            listed = list(spec.missing_values)[:5]
            yield f"{place} has missing values in columns {listed}, expected numbers below {columns}"


def _check_parts(manifest: Manifest) -> Problems:
    """Yield what is wrong with outputs that hold parts of the source's; the checks that follow join them."""
    source = manifest.source.signature
    for spec in (
        *source.inputs,
        *source.outputs,
        *(spec for item in manifest.artifacts for spec in item.signature.inputs),
    ):
        if spec.part is not None:
            yield f"'{spec.name}' is an input, or of the source, and holds a part"
    for record in manifest.artifacts:
        parts: dict[str, list[TensorSpec]] = {}
        for spec in record.signature.outputs:
            parts.setdefault(spec.source_name, []).append(spec)
        for name, specs in parts.items():
            if len(specs) > 1 or specs[0].part is not None:
                yield from _check_whole(name, specs, record.recipe)


def _check_whole(name: str, specs: list[TensorSpec], owner: str) -> Problems:
    place = f"'{name}' of {owner}"
    parts = [spec.part for spec in specs if spec.part is not None]
    if len(parts) < len(specs):
        yield f"{place} is an output, and another one holds a part of it"
        return
    axis = parts[0].axis
    if any(part.axis != axis or not 0 < axis < len(spec.shape) for part, spec in zip(parts, specs, strict=True)):
        yield f"the parts of {place} do not have one axis"
        return
    if any(list(part.positions) != sorted(set(part.positions)) for part in parts):
        yield f"the positions of a part of {place} are not in ascending order"
    if sorted(i for part in parts for i in part.positions) != list(range(sum(len(part.positions) for part in parts))):
        yield f"the parts of {place} do not hold each position once"
    sizes = [(len(part.positions), spec.shape[axis]) for part, spec in zip(parts, specs, strict=True)]
    rests = {(*spec.shape[:axis], *spec.shape[axis + 1 :]) for spec in specs}
    if any(count != size or not count for count, size in sizes) or len(rests) > 1:
        yield f"the shapes of the parts of {place} do not match"
    if len({spec.meaning for spec in specs}) > 1 or any(spec.meaning in DECIDED for spec in specs):
        yield f"the parts of {place} mean different things, or labels"


def _check_decision(manifest: Manifest) -> Problems:
    source = manifest.source
    decision = source.decision
    if source.heads:
        yield from _check_heads(manifest)
    elif decision is None:
        for owner, signature in _signatures(manifest):
            if any(spec.meaning in DECIDED for spec in signature.outputs):
                yield f"{owner} has an output of labels, but the source does not classify"
    else:
        yield from _check_labels(decision)
        for owner, signature in _signatures(manifest):
            meanings = {spec.meaning for spec in signature.outputs}
            if not meanings & {"scores", *DECIDED}:
                yield f"{owner} classifies, but has neither scores nor labels"
            for spec in signature.whole_outputs:
                if spec.meaning == "scores":
                    yield from _check_scores(spec, decision, owner)
                elif spec.meaning in DECIDED and any(size not in {1, None} for size in spec.shape[1:]):
                    yield f"'{spec.name}' of {owner} holds more than one label"


def _check_heads(manifest: Manifest) -> Problems:
    """Check the tasks of several outputs, each of which decides by its own scores."""
    source = manifest.source
    if source.decision is not None:
        yield "the source has a decision, and one for each output"
    if sorted(source.heads) != sorted(spec.name for spec in source.signature.outputs):
        yield "the source's tasks are not those of its outputs"
    for head in source.heads.values():
        if head.decision is not None:
            yield from _check_labels(head.decision)
    for owner, signature in _signatures(manifest):
        for spec in signature.whole_outputs:
            decision = source.heads[spec.name].decision if spec.name in source.heads else None
            if spec.meaning != ("values" if decision is None else "scores"):
                yield f"'{spec.name}' of {owner} means {spec.meaning}, which is not its task"
            elif decision is not None:
                yield from _check_scores(spec, decision, owner)


def _check_labels(decision: Decision) -> Problems:
    labels = decision.labels
    if len(labels) < 1 or len(set(labels)) != len(labels):
        yield f"the source has {len(labels)} labels, {len(set(labels))} of them different"
    if len({isinstance(label, str) for label in labels}) > 1:
        yield "some of the source's labels are text, and others numbers"
    texts = [label for label in labels if isinstance(label, str)]
    longest = max(map(len, texts), default=0)
    if longest > MAX_LABEL_CHARS or pads_too_much(texts):
        yield f"a label has {longest} characters"
    for label in labels:
        if isinstance(label, float) and not math.isfinite(label):
            yield f"a label is {label:g}"
        if isinstance(label, int) and not -(2**63) <= label < 2**63:
            yield f"the label {label} has more than 64 bits"
    threshold = decision.threshold
    if decision.axis not in {-1, 1}:
        yield f"the labels are on axis {decision.axis} of the scores, expected -1 or 1"
    if threshold is None and decision.independent:
        yield "independent labels have no threshold"
    if threshold is not None and not ((len(labels) == 2 or decision.independent) and math.isfinite(threshold)):
        yield f"a threshold of {threshold:g} decides between {len(labels)} labels"


def _check_scores(spec: TensorSpec, decision: Decision, owner: str) -> Problems:
    count = len(decision.labels)
    sizes = list(spec.shape[1:])
    pairs = count * (count - 1) // 2
    expected = f"{pairs if decision.pairwise else count} scores"
    if decision.threshold is not None and not decision.independent:
        is_valid = len(sizes) > 1 or all(size == 1 for size in sizes)  # several axes: a label for each pixel or step
        expected = "one score"
    elif decision.independent:
        is_valid = sizes[-1:] == [count]
    elif decision.pairwise or len(sizes) < 2:
        is_valid = len(sizes) == 1 and sizes[0] in ({pairs, count} if decision.pairwise else {count})
    else:
        is_valid = decision.axis in {-1, 1} and sizes[min(decision.axis, 0)] == count
    if not is_valid:
        yield f"'{spec.name}' of {owner} has scores of the shape {sizes}, expected {expected} for {count} labels"


def _check_artifacts(manifest: Manifest) -> Problems:
    source = manifest.source.signature
    recipes = [record.recipe for record in manifest.artifacts]
    if len(set(recipes)) != len(recipes):
        yield "an artifact is listed twice"
    for record in manifest.artifacts:
        inputs = {spec.name: spec for spec in record.signature.visible.inputs}
        outputs = {spec.name: spec for spec in record.signature.whole_outputs if spec.meaning not in DECIDED}
        for own, specs in ((inputs, source.inputs), (outputs, source.outputs)):
            if list(own) != [spec.name for spec in specs]:
                yield f"{record.recipe} has the tensors {', '.join(own)}, expected those of the source"
            for spec in specs:
                artifact_spec = own.get(spec.name, spec)
                if artifact_spec.encoding is None and artifact_spec.shape[1:] != spec.shape[1:]:
                    yield f"'{spec.name}' of {record.recipe} has another shape than that of the source"
                if artifact_spec.sizes != spec.sizes:
                    yield f"'{spec.name}' of {record.recipe} has other free sizes than that of the source"
        yield from _check_encodings(record)
    if any(spec.encoding for spec in (*source.inputs, *source.outputs)):
        yield "a tensor of the source has an encoding"


def _check_encodings(record: ArtifactRecord) -> Problems:
    for spec in record.signature.inputs:
        problem = spec.encoding and check_encoding(spec.encoding, spec.shape)
        if problem:
            yield f"the encoding of input '{spec.name}' of {record.recipe} is invalid: {problem}"
    if any(spec.encoding for spec in record.signature.outputs):
        yield f"an output of {record.recipe} has an encoding"


def _check_golden(manifest: Manifest) -> Problems:
    everything = (manifest.golden, *manifest.golden_at)
    for golden in everything:
        yield from _check_vectors(golden, manifest)
    names = sorted(manifest.source.signature.free_sizes)
    for golden in everything:
        is_empty = golden is manifest.golden and not golden.runs
        if (sorted(golden.sizes) != names and not is_empty) or not all(
            1 <= size <= MAX_SIZE for size in golden.sizes.values()
        ):
            yield f"golden vectors are of the sizes {golden.sizes}, expected numbers for {', '.join(names) or 'none'}"
    if manifest.golden_at and not names:
        yield "there are golden vectors at other sizes, but none is free"
    recipes = {record.recipe for record in manifest.artifacts}
    if any({run.recipe for run in golden.runs} != recipes for golden in manifest.golden_at):
        yield "an artifact does not have golden vectors at each size"
    for record in manifest.artifacts:
        if [each.sizes for each in record.evaluation.at_sizes] != [golden.sizes for golden in manifest.golden_at]:
            yield f"{record.recipe} was proven at other sizes than those of the golden vectors"


def _check_vectors(golden: Golden, manifest: Manifest) -> Problems:
    signatures = {record.recipe: record.signature for record in manifest.artifacts}
    if golden.runs and golden.samples < MIN_GOLDEN_SAMPLES:
        yield f"got {golden.samples} golden inputs, expected at least {MIN_GOLDEN_SAMPLES}"
    runs = [(run.recipe, run.family) for run in golden.runs]
    if len(set(runs)) != len(runs) or not {run.recipe for run in golden.runs} <= set(signatures):
        yield "a golden run is listed twice, or does not have its artifact"
    for run in golden.runs:
        signature = signatures.get(run.recipe, manifest.source.signature).visible
        if not _same_names(golden.inputs, signature.inputs) or not _same_names(run.outputs, signature.outputs):
            yield f"the golden vectors of {run.recipe} do not match its tensors"
        if not run.bounds.keys() <= run.outputs.keys() or not all(
            0 <= value < math.inf for value in run.bounds.values()
        ):
            yield f"the bounds of the golden vectors of {run.recipe} do not match its outputs"


def _same_names(files: dict[str, str], specs: tuple[TensorSpec, ...]) -> bool:
    return sorted(files) == sorted(spec.name for spec in specs)


def _check_source(manifest: Manifest) -> Problems:
    source = manifest.source
    specs = {spec.name: spec for spec in source.signature.inputs}
    if not _DIGEST.fullmatch(source.digest):
        yield f"the source's digest is {source.digest!r:.80}"
    for name, declaration in manifest.preprocessing.items():
        problem = check_declaration(declaration, specs[name]) if name in specs else "the model does not have this input"
        if problem:
            yield f"the preprocessing of input '{name}' is invalid: {problem}"
    names = {spec.name for spec in source.signature.outputs}
    boxes = source.boxes
    if boxes is not None and not {boxes.output, boxes.scores, boxes.classes or boxes.scores} <= names:
        yield "the source's boxes are in an output that it does not have"
    if not {*source.whole_inputs, *source.columns} <= specs.keys():
        yield "the source names an input that it does not have"


def _check_figures(manifest: Manifest) -> Problems:
    """Yield figures that cannot be: shares outside of 0 to 1, negative counts and times."""
    for record in manifest.artifacts:
        evaluation, latency = record.evaluation, record.measurement
        fidelity, mcnemar, worst = evaluation.fidelity, evaluation.mcnemar, evaluation.worst_class
        fidelities = [fidelity, *(each.fidelity for each in evaluation.at_sizes)]
        shares = [evaluation.ece, evaluation.source_ece, *(each.agreement for each in fidelities)]
        shares += [each.worst_integers.equal for each in fidelities if each.worst_integers is not None]
        least: list[float | None] = [record.verdict.samples_to_settle]
        least += [value for each in fidelities for value in (each.samples, each.flips, each.max_error)]
        for metrics in (evaluation.metrics, evaluation.source_metrics):
            if metrics is not None:
                shares += [getattr(metrics, name) for name in _SHARES]
                least += [metrics.mse, metrics.mae, metrics.relative_mse]
        if mcnemar is not None:
            shares.append(mcnemar.p_value)
            least += [mcnemar.lost, mcnemar.gained]
        if worst is not None:
            shares += [worst.recall, worst.source_recall]
            least.append(worst.samples)
        least += [latency.runs] if latency is not None else []
        times = [latency.median_ms, latency.p95_ms] if latency is not None else []
        yield from (f"{record.recipe} has a time of {value:g}" for value in times if not 0 < value < math.inf)
        drop = evaluation.drop
        if drop is not None and drop.metric in PERCENT_METRICS:
            shares += [abs(drop.value), abs(drop.low), abs(drop.high)]
        parts: list[Fidelity | PartFidelity | None] = [*fidelities, *(each.worst_part for each in fidelities)]
        figures = [
            *(each.sample_sqnr_db for each in fidelities),
            *(value for part in parts if part is not None for value in (part.sqnr_db, part.centred_sqnr_db)),
        ]
        decibels = [value for value in figures if value is not None]
        for value in shares:
            if value is not None and not 0 <= value <= 1:
                yield f"{record.recipe} has a share of {value:g}"
        for value in least:
            if value is not None and not 0 <= value < math.inf:
                yield f"{record.recipe} has a count, error or time of {value:g}"
        if any(value > _MAX_SQNR_DB for value in decibels):
            yield f"{record.recipe} has a fidelity of {max(decibels):g} dB"
