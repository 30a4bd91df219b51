"""Comparison of two manifests."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import msgspec

from edgeml.core.artifact import Needs
from edgeml.core.decisions import Decision
from edgeml.core.encoding import describe_encoding
from edgeml.core.recipe import RECIPES
from edgeml.core.source import MAIN_METRIC
from edgeml.core.tensors import Label, Signature, TensorSpec, describe_input
from edgeml.package.diff.values import ArtifactDiff, Change, Figures, LabelsDiff
from edgeml.package.manifest import ArtifactRecord, Manifest

__all__ = ["artifact_diffs", "identity_changes", "labels_diff", "preprocessing_changes", "tensor_changes", "typed"]


def identity_changes(old: Manifest, new: Manifest) -> tuple[Change, ...]:
    """Return changes of the packages' identity: name, version, source, data, goal, tools, CPU."""
    return _changes(_identity(old), _identity(new))


def _identity(manifest: Manifest) -> dict[str, str | None]:
    source, data, decision = manifest.source, manifest.data, manifest.source.decision
    goal = msgspec.to_builtins(manifest.goal)
    return {
        "name": manifest.name,
        "version": manifest.version,
        "source digest": source.digest,
        "framework": source.framework,
        "architecture": source.architecture,
        "task": source.task,
        "threshold": None if decision is None or decision.threshold is None else f"{decision.threshold:g}",
        "licence": manifest.licence or None,
        "author": manifest.author or None,
        "goal": ", ".join(f"{key} {value}" for key, value in goal.items()) or None,
        "judged on": f"{data.judged_samples} {data.judged_on} samples",
        "evaluation data": data.evaluation,
        "calibration data": data.calibration,
        "edgeml": manifest.edgeml,
        **{f"tool {name}": version for name, version in sorted((source.versions | manifest.tools).items())},
        "CPU": f"{manifest.cpu.architecture} {' '.join(manifest.cpu.features)}".strip(),
    }


def _changes(old: Mapping[str, str | None], new: Mapping[str, str | None]) -> tuple[Change, ...]:
    return tuple(
        Change(what, old.get(what), new.get(what)) for what in {**old, **new} if old.get(what) != new.get(what)
    )


def typed(label: Label) -> tuple[type, Label]:
    """Return a label with its type, for comparison: 1, 1.0 and True are equal in Python."""
    return type(label), label


def labels_diff(old: Decision | None, new: Decision | None) -> LabelsDiff:
    """Return labels that were added, removed, or moved to another position."""
    before = {typed(label): i for i, label in enumerate(old.labels if old else ())}
    after = {typed(label): i for i, label in enumerate(new.labels if new else ())}
    return LabelsDiff(
        added=tuple(key[1] for key in after if key not in before),
        removed=tuple(key[1] for key in before if key not in after),
        moved=tuple(key[1] for key, i in after.items() if before.get(key, i) != i),
    )


def tensor_changes(old: Signature, new: Signature) -> tuple[Change, ...]:
    """Return changes of names, order, shapes, dtypes and meanings of inputs and outputs."""
    changes: list[Change] = []
    for kind, before, after in (("input", old.inputs, new.inputs), ("output", old.outputs, new.outputs)):
        named = [{f"{kind} {spec.name}": _tensor(spec) for spec in specs} for specs in (before, after)]
        changes += _changes(*named)
        orders = [[spec.name for spec in specs] for specs in (before, after)]
        if sorted(orders[0]) == sorted(orders[1]) and orders[0] != orders[1]:
            changes.append(Change(f"order of {kind}s", ", ".join(orders[0]), ", ".join(orders[1])))
    return tuple(changes)


def _tensor(spec: TensorSpec) -> str:
    shape = ", ".join("any" if size is None else str(size) for size in spec.named_shape)
    parts = [f"{spec.dtype} [{shape}]", "" if spec.meaning == "values" else spec.meaning, describe_input(spec)]
    return " ".join(filter(None, parts))


def _quantization_changes(old: Signature, new: Signature) -> tuple[Change, ...]:
    def describe(signature: Signature) -> dict[str, str | None]:
        sides = (("input", signature.inputs), ("output", signature.outputs))
        return {
            f"{kind} {spec.name}": _storage(spec)
            for kind, specs in sides
            for spec in specs
            if spec.quantization or spec.encoding
        }

    return _changes(describe(old), describe(new))


def _storage(spec: TensorSpec) -> str:
    parts = []
    if spec.encoding:
        digest = hashlib.sha256(msgspec.json.encode(spec.encoding)).hexdigest()
        parts.append(f"encoded as {describe_encoding(spec.encoding)}, sha256:{digest[:12]}")
    if spec.quantization:
        parts.append(f"scale {spec.quantization.scale:.9g}, zero point {spec.quantization.zero_point}")
    return ", ".join(parts)


def preprocessing_changes(old: Manifest, new: Manifest) -> tuple[Change, ...]:
    """Return changes of the preprocessing of raw input."""

    def describe(manifest: Manifest) -> dict[str, str | None]:
        # JSON, not the text for people, which is rounded.
        return {
            f"preprocessing of {name}": msgspec.json.encode(d).decode() for name, d in manifest.preprocessing.items()
        }

    return _changes(describe(old), describe(new))


def artifact_diffs(old: Manifest, new: Manifest) -> tuple[ArtifactDiff, ...]:
    """Return a comparison for each recipe that either package contains or refused, in the order of the recipes."""
    diffs = []
    records = [{record.recipe: record for record in manifest.artifacts} for manifest in (old, new)]
    for recipe in (recipe.id for recipe in RECIPES):
        before, after = _figures(old, recipe), _figures(new, recipe)
        if before is None and after is None:
            continue
        old_record, new_record = records[0].get(recipe), records[1].get(recipe)
        if old_record is None or new_record is None:
            diffs.append(ArtifactDiff(recipe, before, after))
            continue
        diffs.append(
            ArtifactDiff(
                recipe,
                before,
                after,
                same_bytes=old.files[old_record.file].sha256 == new.files[new_record.file].sha256,
                tensors=tensor_changes(old_record.signature, new_record.signature),
                quantization=_quantization_changes(old_record.signature, new_record.signature),
                needs=_changes(_needs(old_record.needs), _needs(new_record.needs)),
                new_needs=_new_needs(old_record.needs, new_record.needs),
            )
        )
    return tuple(diffs)


def _figures(manifest: Manifest, recipe: str) -> Figures | None:
    for refused in manifest.refused:
        if refused.recipe == recipe:
            return Figures("refused", (refused.reason,))
    for record in manifest.artifacts:
        if record.recipe == recipe:
            return _figures_of(manifest, record)
    return None


def _figures_of(manifest: Manifest, record: ArtifactRecord) -> Figures:
    evaluation, latency = record.evaluation, record.measurement
    fidelity = evaluation.fidelity
    metric = MAIN_METRIC.get(manifest.source.task or "")
    value = getattr(evaluation.metrics, metric, None) if metric else None
    return Figures(
        status=record.verdict.status,
        reasons=record.verdict.reasons,
        size_bytes=manifest.files[record.file].size_bytes,
        metric=metric if value is not None else None,
        value=value,
        drop=evaluation.drop.value if evaluation.drop else None,
        sqnr_db=fidelity.float_sqnr_db,
        median_ms=latency.median_ms if latency else None,
        p95_ms=latency.p95_ms if latency else None,
        samples=fidelity.labels or fidelity.samples,
        agreement=fidelity.agreement,
        flips=fidelity.flips,
        mcnemar_p=evaluation.mcnemar.p_value if evaluation.mcnemar else None,
        ece=evaluation.ece,
        worst_class=evaluation.worst_class,
        error_rise=evaluation.error_rise.value if evaluation.error_rise else None,
    )


def _needs(needs: Needs) -> dict[str, str | None]:
    return {
        "engine": needs.engine,
        "engine version": needs.engine_version,
        "opset": None if needs.opset is None else str(needs.opset),
        "operators": ", ".join(needs.operators),
        "CPU features": ", ".join(needs.cpu_features) or None,
    }


def _new_needs(old: Needs, new: Needs) -> tuple[str, ...]:
    """Return the needs that a machine which runs the old artifact may not meet."""
    if old.engine != new.engine:
        return (f"engine {new.engine}",)
    needs = []
    if _release(new.engine_version) > _release(old.engine_version):
        needs.append(f"{new.engine} {new.engine_version} or newer")
    if (new.opset or 0) > (old.opset or 0):
        needs.append(f"opset {new.opset}")
    needs += [f"operator {name}" for name in new.operators if name not in old.operators]
    needs += [f"CPU feature {name}" for name in new.cpu_features if name not in old.cpu_features]
    return tuple(needs)


def _release(version: str) -> tuple[int, ...]:
    """Return the leading numbers of a version, for comparison."""
    numbers: list[int] = []
    for part in version.split("."):
        if not (part.isascii() and part.isdigit()):
            break
        numbers.append(int(part[:9]))
    while numbers and numbers[-1] == 0:  # 1.14.0 is 1.14
        numbers.pop()
    return tuple(numbers)
