"""A scikit-learn pipeline in memory to a package, and the same labels from it.

python examples/sklearn_to_package.py OUTPUT.edgeml
"""

from __future__ import annotations

import sys

import numpy as np
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import edgeml

iris = load_iris()
x_train, x_test, y_train, y_test = train_test_split(
    iris.data.astype(np.float32), iris.target_names[iris.target], random_state=0
)
model = make_pipeline(StandardScaler(), LogisticRegression()).fit(x_train, y_train)

package = edgeml.build(model, name="iris", version="1.0.0", calibration=x_train, evaluation=(x_test, y_test))
for record in package.manifest.artifacts:
    print(f"{record.recipe:15} {record.verdict.status}  {'; '.join(record.verdict.reasons)}")
for refused in package.manifest.refused:
    print(f"{refused.recipe:15} refused: {refused.reason}")
package.save(sys.argv[1])

session = edgeml.open_package(sys.argv[1]).session("onnx-fp32")
labels = session.classify(x_test)
print(f"{(labels == model.predict(x_test)).sum()} of {len(x_test)} labels as scikit-learn gives them:", *labels[:3])
