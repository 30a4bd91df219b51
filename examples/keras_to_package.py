"""A Keras model in memory to a package: train, build, see the verdicts, save.

python examples/keras_to_package.py OUTPUT.edgeml
"""

from __future__ import annotations

import sys

import keras

import edgeml
from edgeml.demo.digits import digits

data = digits()
keras.utils.set_random_seed(0)
model = keras.Sequential([
    keras.Input((8, 8, 1), name="image"),
    keras.layers.Conv2D(16, 3, activation="relu"),
    keras.layers.Flatten(),
    keras.layers.Dense(10, activation="softmax", name="scores"),
])  # fmt: skip
model.compile("adam", "sparse_categorical_crossentropy")
model.fit(data.train, data.train_labels, epochs=10, verbose=0)

package = edgeml.build(
    model,
    name="digits",
    version="1.0.0",
    calibration=data.calibration,  # typical inputs, for the ranges of int8
    evaluation=(data.evaluation, data.evaluation_labels),  # held out
    labels=["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"],
    goal=edgeml.Goal(max_drop=0.01),
)
for record in package.manifest.artifacts:
    size = package.manifest.files[record.file].size_bytes
    print(f"{record.recipe:15} {size:6} bytes  {record.verdict.status}  {'; '.join(record.verdict.reasons)}")
for refused in package.manifest.refused:
    print(f"{refused.recipe:15} refused: {refused.reason}")
package.save(sys.argv[1])

session = edgeml.load(sys.argv[1])
print("first three:", *session.classify(data.evaluation[:3]))
