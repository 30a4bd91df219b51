"""Names and labels that would do harm to a page that took them for more than text."""

from __future__ import annotations

import msgspec

import edgeml
from edgeml.core.decisions import Decision
from edgeml.core.tensors import Label, Signature

__all__ = ["HOSTILE", "hostile_package"]

HOSTILE = (
    "</script><script>document.title='taken'</script>",
    '"><img src=x onerror="document.title=\'taken\'">',
    "' onmouseover='document.title=1",
    "<svg><style>*{display:none}</style>",
    "{{ 7 * 7 }}{% raw %}${7*7}",
    "invoice\u202egpj.exe",
    "\u2066\u202d\u0000\u001b[2J\u2028",
    "قطة",
    "Z\u0300\u0301\u0302" * 400,
    "javascript:document.title='taken'",
    "| a | b |\n# heading @everyone",
    "www.example.com",
)


def _with_scores(signature: Signature, count: int) -> Signature:
    outputs = tuple(msgspec.structs.replace(spec, shape=(spec.shape[0], count)) for spec in signature.outputs)
    return msgspec.structs.replace(signature, outputs=outputs)


def hostile_package(package: edgeml.Package, count: int) -> edgeml.Package:
    """The package with hostile labels and texts, and evidence of so many classes; the artifacts' files stay."""
    labels: list[Label] = [*HOSTILE, *(f"class {i}" for i in range(count - len(HOSTILE)))]
    manifest = package.manifest
    source = msgspec.structs.replace(
        manifest.source,
        architecture=HOSTILE[0],
        decision=Decision(tuple(labels)),
        versions={HOSTILE[1]: HOSTILE[5]},
        signature=_with_scores(manifest.source.signature, count),
    )
    records = tuple(
        msgspec.structs.replace(
            record,
            signature=_with_scores(record.signature, count),
            lineage=HOSTILE,
            verdict=msgspec.structs.replace(record.verdict, remarks=HOSTILE),
        )
        for record in manifest.artifacts
    )
    evidence: dict[str, object] = {
        "flips": [{"sample": i, "source": labels[i], "artifact": labels[i + 1]} for i in range(40)],
        "recalls": [{"label": label, "source": 1.0, "artifact": 1 - i / count} for i, label in enumerate(labels)],
    }
    parity = {"samples": 1, "sqnr_db": 1e300, "centred_sqnr_db": None, "max_error": 1e300}
    evidence["parity"] = dict.fromkeys(HOSTILE, parity)
    contents = {name: package.read(name) for name in manifest.files}
    contents |= {record.evidence: msgspec.json.encode(evidence) for record in records if record.evidence}
    changed = msgspec.structs.replace(manifest, source=source, artifacts=records, author=HOSTILE[2])
    return edgeml.Package.of(changed, contents)
