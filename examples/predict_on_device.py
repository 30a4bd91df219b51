"""What an app on a device does: open, verify once, then predict. Needs `edgeml-toolkit[litert]` or `[onnx]` only.

python examples/predict_on_device.py PACKAGE.edgeml INPUTS.npz
"""

from __future__ import annotations

import sys

import numpy as np

import edgeml

package = edgeml.open_package(sys.argv[1])
checked = package.verify()  # every digest, and the golden vectors on this machine's engine
print(f"{package.manifest.name} {package.manifest.version} holds, {checked.digest}")

recipe = package.best()
session = package.session(recipe)
images = np.load(sys.argv[2])["x"]
scores, labels = session.predict(images), session.classify(images)
for label, row in zip(labels[:3], scores[:3], strict=True):
    print(f"{recipe}: {label} ({row.max():.0%})")
