"""Every estimator of scikit-learn against the table of outcomes that is checked in."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from sklearn.cluster import MeanShift, SpectralBiclustering
from sklearn.decomposition import DictionaryLearning, LatentDirichletAllocation, MiniBatchDictionaryLearning
from sklearn.linear_model import ARDRegression, LogisticRegressionCV
from sklearn.manifold import TSNE

from tests.support.scripts import benchmark

LEAST_RIGHT = 120

# The same classes with the quickest training: those that are refused are so whatever they learned.
QUICK = {
    "ARDRegression": ARDRegression(max_iter=10),
    "DictionaryLearning": DictionaryLearning(3, max_iter=1, random_state=0),
    "LatentDirichletAllocation": LatentDirichletAllocation(3, max_iter=1, random_state=0),
    "LogisticRegressionCV": LogisticRegressionCV(Cs=3, cv=3, solver="newton-cholesky"),
    "MeanShift": MeanShift(bandwidth=6.0),
    "MiniBatchDictionaryLearning": MiniBatchDictionaryLearning(3, max_iter=1, random_state=0),
    "SpectralBiclustering": SpectralBiclustering(n_init=1, random_state=0),
    "TSNE": TSNE(max_iter=250, min_grad_norm=1e9),
}


@pytest.mark.slow
def test_every_estimator_is_right_or_refused_as_the_table_says(monkeypatch: pytest.MonkeyPatch) -> None:
    module = benchmark("sklearn_sweep")
    models = module._models

    def quick() -> dict[str, Any]:
        return models() | QUICK

    monkeypatch.setattr(module, "_models", quick)
    found = {outcome.name: outcome for outcome, _ in module.run()}
    assert found == module.expected()


def test_the_table_holds_nothing_wrong_and_enough_that_is_right() -> None:
    outcomes = benchmark("sklearn_sweep").expected().values()
    assert {outcome.outcome for outcome in outcomes} == {"right", "refused"}
    assert all(outcome.reason for outcome in outcomes if outcome.outcome == "refused")
    right = {outcome.name for outcome in outcomes if outcome.outcome == "right" and "(" not in outcome.name}
    assert len(right) >= LEAST_RIGHT
    kinds = Counter(outcome.name.partition(" ")[0] for outcome in outcomes)
    assert kinds["VotingClassifier"] > 2
