"""A finished run of Thawline in MLflow: options, scores with their intervals, report, and a model for `mlflow models`.

    pip install mlflow-skinny sqlalchemy alembic       # or mlflow, which has a page to look at runs too
    thawline fit PHOTOS -o runs/mine
    MLFLOW_TRACKING_URI=sqlite:///mlflow.db python examples/mlflow_run.py runs/mine
    mlflow models predict -m models:/MODEL-ID -i new.csv -t csv --env-manager local    # new.csv: a column `path`

Nothing of Thawline depends on MLflow: everything is read from the run's folder. The model is logged as code, this file,
and as the run's own model folder, so that nothing is pickled. Where it is logged to is MLflow's to know.
"""

import argparse
import json
from pathlib import Path

import mlflow
import mlflow.pyfunc
import pandas as pd
from mlflow.models import ModelSignature, set_model
from mlflow.types import ColSpec, Schema

import thawline

SIGNATURE = ModelSignature(
    inputs=Schema([ColSpec("string", "path")]),
    outputs=Schema([ColSpec("string", "path"), ColSpec("string", "label"), ColSpec("double", "probability")]),
)


class Pictures(mlflow.pyfunc.PythonModel):
    """Paths of pictures in, a label and its probability out; one that cannot be read has neither."""

    def load_context(self, context):
        self.model = thawline.load(context.artifacts["model"])

    def predict(self, context, model_input, params=None):
        paths = [str(path) for path in model_input["path"]]
        rows = self.model.answers(paths)
        return pd.DataFrame(
            {
                "path": paths,
                "label": [row.label for row in rows],
                "probability": [row.probability for row in rows],
            }
        )


set_model(Pictures())  # what MLflow takes where it reads this file as the model's code


def log_run(folder):
    """Log a finished run and its model; return MLflow's name of the run, and of the model."""
    facts = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    scores = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    with mlflow.start_run(run_name=folder.name) as run:
        mlflow.log_params({name: str(value) for name, value in facts["options"].items() if value not in (None, [])})
        mlflow.set_tags({"thawline": facts["thawline"], "winner": facts["winner"], "pictures": facts["pictures_key"]})
        for name, score in scores.items():
            ends = {name: score["value"], f"{name}_low": score["low"], f"{name}_high": score["high"]}
            mlflow.log_metrics({key: value for key, value in ends.items() if value is not None})
        for name in ("report.html", "leaderboard.csv", "metrics.json", "predictions.csv", "run.json"):
            mlflow.log_artifact(folder / name)
        model = mlflow.pyfunc.log_model(
            name="model",
            python_model=__file__,
            artifacts={"model": str(folder / "model")},
            signature=SIGNATURE,
            pip_requirements=["thawline"],
        )
    return run.info.run_id, model.model_uri


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="folder of a finished run")
    run_id, model_uri = log_run(parser.parse_args().run)
    print(f"run {run_id}\nmodel {model_uri}")
