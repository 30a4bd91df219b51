"""Thresholds, categories and vocabularies of a fitted scikit-learn model, by the column of its table."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

__all__ = ["Branches", "Feature", "ModelValues", "model_values", "node_constraints"]

_UNKNOWN = 4096  # outputs of a part that does not name them: more than any
_SPREAD = 4.0  # standard deviations from a scaler's mean within which most values lie


class Feature(NamedTuple):
    """A feature that a part of the model reads: a column of the table, or a column that was scaled.

    Attributes:
        column: Position of the column in the table.
        scale: Factor from the feature's values to the column's.
        offset: Value of the column where the feature is 0.
        exact: True if the part reads the column itself.
    """

    column: int
    scale: float = 1.0
    offset: float = 0.0
    exact: bool = True

    def column_values(self, values: Any) -> np.ndarray:
        """Return the column's values for values of the feature."""
        return np.asarray(values, np.float64) * self.scale + self.offset


Features = Sequence[Feature | None]
"""Features of a part of the model in order; None for one that depends on several columns, or in another way."""


@dataclass(frozen=True, slots=True)
class Branches:
    """The nodes of a decision tree, in which rows go left whose feature is at most the threshold.

    Attributes:
        features: Features of the tree.
        feature: Position of each node's feature ``[nodes]``; negative for leaves and nodes without a threshold.
        threshold: Threshold of each node ``[nodes]``.
        left: Left child of each node ``[nodes]``.
        right: Right child of each node ``[nodes]``.
    """

    features: Features
    feature: np.ndarray
    threshold: np.ndarray
    left: np.ndarray
    right: np.ndarray


@dataclass(slots=True)
class ModelValues:
    """Values at which a model's answers change.

    Attributes:
        cuts: Edges of bins, ends of clips and other single values, by column.
        trees: Decision trees.
        categories: Numbers and texts that encoders know, by column.
        closed: Columns whose encoders refuse other categories.
        ranges: Smallest and largest typical value, by column, from the statistics of scalers.
        vectorizers: Text vectorizers, by column.
        compared: Columns that a part compares with thresholds or categories of its own.
        computed: Columns that a part computes with.
    """

    cuts: dict[int, list[float]] = field(default_factory=dict)
    trees: list[Branches] = field(default_factory=list)
    categories: dict[int, list[object]] = field(default_factory=dict)
    closed: set[int] = field(default_factory=set)
    ranges: dict[int, tuple[float, float]] = field(default_factory=dict)
    vectorizers: dict[int, list[Any]] = field(default_factory=dict)
    compared: set[int] = field(default_factory=set)
    computed: set[int] = field(default_factory=set)

    def read(self, features: Features, *, compares: bool = False) -> None:
        """Record that a part reads features."""
        for feature in filter(None, features):
            (self.compared if compares and feature.exact else self.computed).add(feature.column)

    def cut(self, feature: Feature | None, values: Any) -> None:
        """Record values of a feature at which the model's answers change."""
        if feature is not None:
            finite = feature.column_values(values).reshape(-1)
            self.cuts.setdefault(feature.column, []).extend(finite[np.isfinite(finite)].tolist())

    def span(self, feature: Feature | None, low: float, high: float) -> None:
        """Record a typical range of a feature."""
        if feature is not None:
            ends = sorted(feature.column_values((low, high)).tolist())
            low, high = self.ranges.get(feature.column, (np.inf, -np.inf))
            if np.isfinite(ends).all():
                self.ranges[feature.column] = min(low, ends[0]), max(high, ends[1])


Visitor = Callable[[Any, Features, ModelValues], Features]


def model_values(model: Any, width: int) -> ModelValues:
    """Collect the values at which a fitted model's answers change.

    Args:
        model: The model.
        width: Number of columns of its table.
    """
    values = ModelValues()
    _visit(model, [Feature(column) for column in range(width)], values)
    return values


def node_constraints(branches: Branches, node: int) -> Iterator[tuple[Feature, float, bool]]:
    """Yield the conditions of the nodes above a node: feature, threshold, and True where rows go left."""
    parents = {}
    for parent, (left, right) in enumerate(zip(branches.left.tolist(), branches.right.tolist(), strict=True)):
        if left >= 0:
            parents[left], parents[right] = (parent, True), (parent, False)
    while node in parents:
        node, goes_left = parents[node]
        feature = _at(branches.features, int(branches.feature[node]))
        if feature is not None:
            yield feature, float(branches.threshold[node]), goes_left


def _visit(model: Any, features: Features, values: ModelValues) -> Features:
    """Collect the values of a part of the model; return the features after it."""
    if model is None or isinstance(model, str):
        return features if model != "drop" else ()
    try:
        return _visitor(model)(model, features, values)
    except (AttributeError, IndexError, KeyError, TypeError, ValueError):
        # A part of another form than scikit-learn's own: nothing is known of its values.
        values.read(features)
        return ()


def _visitor(model: Any) -> Visitor:
    """Return the function that collects the values of a part of the model."""
    by_attribute: tuple[tuple[bool, Visitor], ...] = (
        (hasattr(model, "tree_"), _visit_tree),
        (any(hasattr(model, name) for name in _WRAPPED), _visit_wrapped),
        (hasattr(model, "get_support"), _visit_selector),
        (hasattr(model, "vocabulary_"), _visit_vectorizer),
        (len(_estimators(model)) > 0, _visit_ensemble),
    )
    return _PARTS.get(type(model).__name__) or next((visit for fits, visit in by_attribute if fits), _visit_other)


def _visit_other(_: Any, features: Features, values: ModelValues) -> Features:
    values.read(features)
    return ()


def _visit_nothing(*_: object) -> Features:
    return ()


def _visit_wrapped(model: Any, features: Features, values: ModelValues) -> Features:
    inner = next(getattr(model, name) for name in _WRAPPED if hasattr(model, name))
    return _visit(inner, features, values)


def _visit_vectorizer(model: Any, features: Features, values: ModelValues) -> Features:
    for feature in filter(None, features):
        values.vectorizers.setdefault(feature.column, []).append(model)
    values.read(features, compares=True)
    return ()


def _visit_pipeline(model: Any, features: Features, values: ModelValues) -> Features:
    for _, step in model.steps:
        if step is not None and not isinstance(step, str):
            features = _visit(step, features, values)
    return features


def _visit_columns(model: Any, features: Features, values: ModelValues) -> Features:
    after: list[Feature | None] = []
    for key, part, _ in model.transformers_:
        selected = model._transformer_to_input_indices[key]  # noqa: SLF001  # scikit-learn has no public name
        after += _outputs(part, _visit(part, [_at(features, i) for i in selected], values))
    return after


def _visit_union(model: Any, features: Features, values: ModelValues) -> Features:
    return [feature for _, part in model.transformer_list for feature in _outputs(part, _visit(part, features, values))]


def _outputs(part: Any, features: Features) -> Features:
    """Return the features after a part; None for each where the part computed them in a way of its own."""
    if len(features) or part == "drop":
        return features
    try:
        return [None] * len(part.get_feature_names_out())
    except Exception:  # noqa: BLE001  # not all parts know; what follows is then not mapped to columns
        return [None] * _UNKNOWN


def _at(features: Features, index: int) -> Feature | None:
    return features[index] if 0 <= index < len(features) else None


def _visit_selector(model: Any, features: Features, values: ModelValues) -> Features:
    selected = [_at(features, int(i)) for i in np.atleast_1d(model.get_support(indices=True))]
    if type(model).__name__ in {"RFE", "RFECV"}:  # which predict too
        _visit(model.estimator_, selected, values)
    return selected


def _estimators(model: Any) -> list[Any]:
    """Return the fitted estimators of an ensemble; empty for other models."""
    if hasattr(model, "calibrated_classifiers_"):
        return [calibrated.estimator for calibrated in model.calibrated_classifiers_]
    parts = getattr(model, "estimators_", ())
    return list(np.ravel(np.array(parts, dtype=object))) if isinstance(parts, np.ndarray) else list(parts)


def _visit_ensemble(model: Any, features: Features, values: ModelValues) -> Features:
    subset = getattr(model, "estimators_features_", None)
    parts = _estimators(model)
    if type(model).__name__.endswith("Chain"):
        features = [*features, *[None] * len(parts)]
    for number, part in enumerate(parts):
        _visit(part, features if subset is None else [_at(features, int(i)) for i in subset[number]], values)
    if getattr(model, "passthrough", False):
        values.read(features)
    if hasattr(model, "init_"):
        _visit(model.init_, features, values)
    return ()


def _visit_tree(model: Any, features: Features, values: ModelValues) -> Features:
    tree = model.tree_
    inner = tree.children_left >= 0
    values.trees.append(
        Branches(features, np.where(inner, tree.feature, -1), tree.threshold, tree.children_left, tree.children_right)
    )
    values.read([_at(features, int(i)) for i in np.unique(tree.feature[inner])], compares=True)
    return ()


def _visit_histograms(model: Any, features: Features, values: ModelValues) -> Features:
    categorical = getattr(model, "is_categorical_", None)
    preprocessor = getattr(model, "_preprocessor", None)
    if preprocessor is not None and categorical is not None:
        # Its columns come first, as numbers of their categories.
        encoder = preprocessor.named_transformers_["encoder"]
        chosen = np.flatnonzero(categorical)
        for position, known in zip(chosen, encoder.categories_, strict=False):
            _record_categories(_at(features, int(position)), known, values)
        values.read([_at(features, int(i)) for i in chosen], compares=True)
        features = [None] * len(chosen) + [_at(features, int(i)) for i in np.flatnonzero(~categorical)]
    for predictor in np.ravel(np.array(model._predictors, dtype=object)):  # noqa: SLF001  # no public name
        nodes = predictor.nodes
        inner = (nodes["is_leaf"] == 0) & (nodes["is_categorical"] == 0)
        positions = np.where(inner, nodes["feature_idx"].astype(np.int64), -1)
        left, right = (np.where(nodes["is_leaf"] == 0, nodes[side].astype(np.int64), -1) for side in ("left", "right"))
        values.trees.append(Branches(features, positions, nodes["num_threshold"], left, right))
        values.read([_at(features, int(i)) for i in np.unique(positions[inner])], compares=True)
    return ()


def _visit_scaler(model: Any, features: Features, values: ModelValues) -> Features:
    """Collect the range of a scaler, and return the scaled features."""
    values.read(features)
    after: list[Feature | None] = []
    for number in range(int(model.n_features_in_)):
        feature = _at(features, number)
        scale, offset, low, high = (float(figure[number]) for figure in _scaling(model, int(model.n_features_in_)))
        values.span(feature, low, high)
        if getattr(model, "clip", False):
            values.cut(feature, (low, high))
        after.append(
            feature
            and Feature(feature.column, scale * feature.scale, float(feature.column_values(offset)), exact=False)
        )
    return after


def _scaling(model: Any, width: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return factor and offset from a scaler's outputs to its inputs, and the ends of the inputs' range."""

    def figure(name: str, default: float) -> np.ndarray:
        value = getattr(model, name, None)
        return np.broadcast_to(np.asarray(default if value is None else value, np.float64), (width,))

    name = type(model).__name__
    if name == "MinMaxScaler":
        return 1 / model.scale_, -model.min_ / model.scale_, figure("data_min_", np.nan), figure("data_max_", np.nan)
    scale = figure("scale_", 1.0)
    if name == "MaxAbsScaler":
        largest = figure("max_abs_", np.nan)
        return scale, np.zeros(width), -largest, largest
    center = figure("center_" if name == "RobustScaler" else "mean_", 0.0)
    return scale, center, center - _SPREAD * scale, center + _SPREAD * scale


def _visit_imputer(model: Any, features: Features, values: ModelValues) -> Features:
    fills = list(zip(features, model.statistics_, strict=False))
    kept = [feature for feature, fill in fills if not (isinstance(fill, float) and np.isnan(fill))]
    for feature, fill in fills:
        if isinstance(fill, float):
            values.cut(feature, fill)
    values.read(features, compares=True)
    return [*kept, *[None] * len(model.indicator_.features_)] if model.add_indicator else kept


def _visit_bins(model: Any, features: Features, values: ModelValues) -> Features:
    for feature, edges in zip(features, model.bin_edges_, strict=False):
        values.cut(feature, edges)
    values.read(features, compares=True)
    return ()


def _visit_binarizer(model: Any, features: Features, values: ModelValues) -> Features:
    for feature in features:
        values.cut(feature, model.threshold)
    values.read(features, compares=True)
    return ()


def _visit_knots(model: Any, features: Features, values: ModelValues) -> Features:
    """Collect the values between which a transformer has another curve."""
    name = type(model).__name__
    for number, feature in enumerate(features):
        if name == "SplineTransformer":
            values.cut(feature, model.bsplines_[number].t)
        elif name == "QuantileTransformer":
            values.cut(feature, model.quantiles_[:, number])
        else:
            values.cut(feature, model.X_thresholds_)
    values.read(features)
    return ()


def _visit_encoder(model: Any, features: Features, values: ModelValues) -> Features:
    for feature, known in zip(features, model.categories_, strict=False):
        _record_categories(feature, known, values)
        if feature is not None and getattr(model, "handle_unknown", "") == "error":
            values.closed.add(feature.column)
    values.read(features, compares=True)
    return ()


def _visit_category_counts(model: Any, features: Features, values: ModelValues) -> Features:
    for feature, count in zip(features, model.n_categories_.tolist(), strict=False):
        _record_categories(feature, np.arange(count), values)
        if feature is not None:
            values.closed.add(feature.column)
    values.read(features, compares=True)
    return ()


def _record_categories(feature: Feature | None, known: Any, values: ModelValues) -> None:
    if feature is None:
        return
    for value in np.asarray(known).tolist():
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if isinstance(value, str) or (is_number and np.isfinite(value)):
            listed = float(feature.column_values(value)) if is_number else value
            values.categories.setdefault(feature.column, []).append(listed)


def _keep(model: Any, features: Features, values: ModelValues) -> Features:
    if getattr(model, "func", None) is not None:
        values.read(features)
        return ()
    return features


_WRAPPED = ("best_estimator_", "regressor_")

_PARTS: Mapping[str, Visitor] = MappingProxyType(
    {
        **dict.fromkeys(
            ("DummyClassifier", "DummyRegressor", "_ConstantPredictor", "MissingIndicator"), _visit_nothing
        ),
        "HashingVectorizer": _visit_vectorizer,
        "Pipeline": _visit_pipeline,
        "ColumnTransformer": _visit_columns,
        "FeatureUnion": _visit_union,
        "FunctionTransformer": _keep,
        "SimpleImputer": _visit_imputer,
        "KBinsDiscretizer": _visit_bins,
        "Binarizer": _visit_binarizer,
        "CategoricalNB": _visit_category_counts,
        "FrozenEstimator": lambda model, features, values: _visit(model.estimator, features, values),
        **dict.fromkeys(
            ("FixedThresholdClassifier", "TunedThresholdClassifierCV", "SelfTrainingClassifier"),
            lambda model, features, values: _visit(model.estimator_, features, values),
        ),
        **dict.fromkeys(("StandardScaler", "MinMaxScaler", "MaxAbsScaler", "RobustScaler"), _visit_scaler),
        **dict.fromkeys(("OneHotEncoder", "OrdinalEncoder", "TargetEncoder"), _visit_encoder),
        **dict.fromkeys(("SplineTransformer", "QuantileTransformer", "IsotonicRegression"), _visit_knots),
        **dict.fromkeys(("HistGradientBoostingClassifier", "HistGradientBoostingRegressor"), _visit_histograms),
    }
)
