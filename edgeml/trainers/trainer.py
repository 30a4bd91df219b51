"""Training of one model, from its data to its files."""

from __future__ import annotations

import importlib
import io
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
from msgspec import Struct

from edgeml.core.errors import InputError
from edgeml.core.machine import installed_version
from edgeml.core.preprocessing import Declaration, Table
from edgeml.trainers.dataset import read_dataset
from edgeml.trainers.metrics import classification_metrics, reconstruction_metrics, regression_metrics
from edgeml.trainers.split import Parts, part
from edgeml.trainers.trained import Column, Epoch, Trained, TrainingMetrics
from edgeml.trainers.training import Autoencoder, Fit, Net, Sklearn, Training, TrainingTask

if TYPE_CHECKING:
    import pandas as pd

    from edgeml.trainers.keras_fitting import NetFitting

__all__ = ["SUMMARY", "Trainer", "TrainerSettings"]

SUMMARY = "training.json"
_BATCH = 256
_NEED_TARGETS = ("classification", "regression")


class TrainerSettings(Struct, frozen=True):
    """What to train, and the folder that the files go to."""

    training: Training
    folder: Path


class Trainer:
    """Lives in a `Worker`, which keeps the frameworks and what they print out of the caller's process."""

    def __init__(self, settings: TrainerSettings) -> None:
        # Where what writes the files is missing, that is told now, and not when all is learnt.
        for module in ("matplotlib", "skops.io" if isinstance(settings.training.model, Sklearn) else "keras"):
            importlib.import_module(module)

        self._training, self._folder = settings.training, settings.folder
        self._data = read_dataset(self._training.data)
        wanted = self._training.model
        self._estimator = None
        if isinstance(wanted, Sklearn):
            from edgeml.trainers.sklearn_models import make_model

            self._estimator = make_model(wanted, self._data.inputs, seed=self._training.seed)
        self._task = self._settled_task()
        self._x = self._inputs()
        self._target = self._settled_target()
        self._classes = self._settled_classes()
        self._parts = part(
            len(self._x), self._target, self._task, self._training.split,
            seed=self._training.seed, validate=not isinstance(wanted, Sklearn),
        )  # fmt: skip
        self._fitting: NetFitting | None = None
        self._history: list[Epoch] = []

    def epochs(self) -> int:
        """The most epochs that there will be; 0 where the model is fitted at once."""
        return 0 if isinstance(self._training.model, Sklearn) else (self._training.fit or Fit()).epochs

    def epoch(self) -> Epoch | None:
        """Makes the net's next epoch; None where there are no more."""
        if self._fitting is None:
            self._fitting = self._net()
        if self._fitting.done:
            return None
        self._history.append(self._fitting.epoch())
        return self._history[-1]

    def finish(self) -> Trained:
        """Finds the metrics and writes all files; for scikit-learn fits the model first."""
        wanted = self._training.model
        x, truth = _taken(self._x, self._parts.evaluation), _taken(self._target, self._parts.evaluation)
        found: dict[str, Any] = {"remarks": self._data.remarks}
        if isinstance(wanted, Sklearn):
            from edgeml.trainers.sklearn_fitting import fit_model

            train = self._parts.train
            fitted = fit_model(
                self._estimator, _taken(self._x, train), _taken(self._target, train), self._training.search
            )
            model = fitted.model
            found |= {"search": fitted.search, "remarks": (*self._data.remarks, *fitted.remarks)}
            metrics = self._estimator_metrics(model, x, truth)
        else:
            assert self._fitting is not None
            model = self._fitting.finished()
            found |= {
                "history": tuple(self._history),
                "best_epoch": self._fitting.best_epoch,
                "parameters": int(model.count_params()),
            }
            metrics = self._net_metrics(model, x, truth)
        files = {**self._model_file(model), **self._data_files(), **self._pictures(metrics, found.get("best_epoch"))}
        trained = Trained(
            training=self._training,
            model=next(iter(files)),
            task=self._task,
            data_digest=self._data.digest,
            samples={
                "all": len(self._x),
                **{name: len(getattr(self._parts, name)) for name in Parts.__slots__},
            },
            classes=None if self._classes is None else tuple(self._classes.tolist()),
            columns=self._columns(),
            preprocessing=self._declaration(),
            metrics=metrics,
            versions={
                name: version
                for name in ("edgeml", "numpy", "scikit-learn", *(("keras", "tensorflow") if self.epochs() else ()))
                if (version := installed_version(name)) is not None
            },
            files=(*files, SUMMARY),
            **found,
        )
        files[SUMMARY] = msgspec.json.format(msgspec.json.encode(trained, enc_hook=_name_of_path), indent=2)
        for name, data in files.items():
            (self._folder / name).write_bytes(data)
        return trained

    def _settled_task(self) -> TrainingTask:
        """What the model does, held to what the data are for."""
        data, wanted = self._data, self._training.model
        if self._estimator is not None:
            from edgeml.trainers.sklearn_models import task_of_model

            found = task_of_model(self._estimator)
        elif isinstance(wanted, Autoencoder):
            found = "reconstruction"
        else:
            numbers = data.target is not None and data.target.dtype.kind == "f"
            found = data.task or ("regression" if numbers else "classification")
        if found in _NEED_TARGETS and data.target is None:
            raise InputError(
                f"data: there is nothing to predict, and the model does {found}.",
                fix="name data.target, or give an array y.",
            )
        said = getattr(self._training.data, "task", None)
        told = said if said is not None else (data.task if found == "regression" else None)
        if told is not None and found in _NEED_TARGETS and told != found:
            raise InputError(
                f"data: the target is for {told}, and the model does {found}.",
                fix="take another model, or mend data.task.",
            )
        return found

    def _settled_target(self) -> np.ndarray | None:
        """The target as the task needs it: labels as whole numbers or text, or values."""
        target = self._data.target
        if self._task not in _NEED_TARGETS or target is None:
            return None
        if self._task == "regression":
            if target.dtype.kind not in "fi":
                raise InputError("data: the target is text, and the model does regression.", fix="take a classifier.")
            return target.astype(np.float64)
        if target.ndim != 1:
            raise InputError(
                f"data: y is {list(target.shape)}, and the model does classification.",
                fix="give one label for each sample.",
            )
        if target.dtype.kind == "f" and (target != np.rint(target)).any():
            raise InputError(
                "data: the target has numbers that are not whole, and the model does classification.",
                fix="take a model for regression, or name the classes by text or whole numbers.",
            )
        return target.astype(np.int64) if target.dtype.kind == "f" else target

    def _settled_classes(self) -> np.ndarray | None:
        """The labels in the order of the scores: sorted, as scikit-learn has them; of a net as the file names them."""
        if self._task != "classification" or self._target is None:
            return None
        named = getattr(self._training.data, "classes", ()) if self._estimator is None else ()
        return np.array(named) if named else np.unique(self._target)

    def _inputs(self) -> Any:
        """The inputs in the shape that the model takes."""
        inputs = self._data.inputs
        if isinstance(inputs, np.ndarray):
            flat = isinstance(self._training.model, Sklearn | Autoencoder)
            return inputs.reshape(len(inputs), -1) if flat else inputs
        if isinstance(self._training.model, Sklearn):
            return inputs
        for name, column in inputs.items():
            if column.dtype == object or column.isna().any():
                what = "text" if column.dtype == object else "gaps"
                raise InputError(
                    f"data: column '{name}' has {what}, and a net takes numbers alone.",
                    fix='take kind = "sklearn", which prepares them, or leave the column out by data.columns.',
                )
        with np.errstate(over="ignore"):
            rows = inputs.to_numpy(np.float32)
        if not np.isfinite(rows).all():
            place = int(np.argmin(np.isfinite(rows).all(axis=0)))
            raise InputError(f"data: column '{inputs.columns[place]}' has values that float32 cannot hold.")
        return rows

    def _net(self) -> NetFitting:
        from edgeml.trainers.keras_fitting import NetFitting, NetSamples

        wanted = self._training.model
        assert not isinstance(wanted, Sklearn)
        net: Net = wanted
        train, validation = self._parts.train, self._parts.validation
        pixels = isinstance(self._data.inputs, np.ndarray) and self._data.inputs.ndim > 2
        samples = NetSamples(
            self._x[train], self._wanted(train), self._x[validation], self._wanted(validation), pixels=pixels
        )
        classes = None if self._classes is None else len(self._classes)
        return NetFitting(net, self._training.fit or Fit(), samples, classes=classes, seed=self._training.seed)

    def _wanted(self, positions: np.ndarray) -> np.ndarray:
        """What a net should give: positions of classes ``[samples]``, or values ``[samples, size]``."""
        if self._task == "reconstruction":
            return self._x[positions]
        assert self._target is not None
        if self._classes is not None:
            place = {label: i for i, label in enumerate(self._classes.tolist())}
            return np.array([place[label] for label in self._target[positions].tolist()])
        return self._target[positions].reshape(len(positions), -1)

    def _net_metrics(self, model: Any, x: np.ndarray, truth: np.ndarray | None) -> TrainingMetrics:
        parts = [
            np.asarray(model(x[i * _BATCH : (i + 1) * _BATCH], training=False))
            for i in range(math.ceil(len(x) / _BATCH))
        ]
        outputs = np.concatenate(parts)
        if self._task == "reconstruction":
            return reconstruction_metrics(x, outputs)
        assert truth is not None
        if self._classes is None:
            return regression_metrics(truth.reshape(len(truth), -1), outputs)
        return classification_metrics(truth, self._classes[outputs.argmax(axis=1)], outputs, self._classes)

    def _estimator_metrics(self, model: Any, x: Any, truth: np.ndarray | None) -> TrainingMetrics:
        if truth is None:
            return TrainingMetrics()
        predicted = model.predict(x)
        if self._classes is None:
            return regression_metrics(truth, predicted)
        methods = (name for name in ("predict_proba", "decision_function") if hasattr(model, name))
        scores = next((getattr(model, name)(x) for name in methods), None)
        return classification_metrics(truth, predicted, scores, self._classes)

    def _model_file(self, model: Any) -> dict[str, bytes]:
        if isinstance(self._training.model, Sklearn):
            import skops.io

            try:
                return {"model.skops": skops.io.dumps(model)}
            except Exception as error:  # skops names no error of its own
                raise InputError(
                    f"model: skops cannot save it: {error}", fix="leave out the part that it names."
                ) from error
        path = self._folder / "model.keras"
        model.save(path)
        return {path.name: path.read_bytes()}

    def _data_files(self) -> dict[str, bytes]:
        """The samples to calibrate and to judge a package with."""
        calibration, evaluation = self._parts.calibration, self._parts.evaluation
        if isinstance(self._data.inputs, np.ndarray):
            arrays = {"x": self._x[evaluation]}
            if self._target is not None:
                arrays["y"] = self._target[evaluation]
            return {"calibration.npz": _npz({"x": self._x[calibration]}), "evaluation.npz": _npz(arrays)}
        held_out = self._data.inputs.iloc[evaluation]
        if self._target is not None:
            held_out = held_out.assign(**{self._training.data.target: self._target[evaluation]})  # type: ignore[union-attr]
        return {"calibration.csv": _csv(self._data.inputs.iloc[calibration]), "evaluation.csv": _csv(held_out)}

    def _pictures(self, metrics: TrainingMetrics, best: int | None) -> dict[str, bytes]:
        from edgeml.trainers.pictures import confusion_picture, curves_picture

        found = {}
        if best is not None:
            assert self._fitting is not None
            found["curves.png"] = curves_picture(self._history, best, standardized=self._fitting.standardized)
        if metrics.confusion is not None and self._classes is not None:
            found["confusion.png"] = confusion_picture(metrics.confusion, self._classes.tolist())
        return found

    def _columns(self) -> tuple[Column, ...] | None:
        inputs = self._data.inputs
        if isinstance(inputs, np.ndarray):
            return None
        return tuple(
            Column(name=str(name), kind="text" if column.dtype == object else "numbers")
            for name, column in inputs.items()
        )

    def _declaration(self) -> Declaration | None:
        columns = self._columns()
        if columns is None:
            return self._data.image if self._x.ndim == 4 else None
        if any(column.kind == "text" for column in columns):
            return None
        return Table(columns=tuple(column.name for column in columns))


def _taken(values: Any, positions: np.ndarray) -> Any:
    if values is None:
        return None
    return values[positions] if isinstance(values, np.ndarray) else values.iloc[positions]


def _csv(frame: pd.DataFrame) -> bytes:
    return frame.to_csv(index=False, lineterminator="\n").encode()


def _npz(arrays: dict[str, np.ndarray]) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **arrays)
    return buffer.getvalue()


def _name_of_path(value: Any) -> str:
    """Files by their names alone: where they lie says nothing of what was learnt."""
    if isinstance(value, Path):
        return value.name
    raise TypeError(f"{type(value).__name__} cannot be written to {SUMMARY}")
