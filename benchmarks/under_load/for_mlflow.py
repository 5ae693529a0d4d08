"""Save a LightGBM model as MLflow does, and a body of rows for its server to score: run by `serving.py`."""

import json
import sys
from pathlib import Path

import lightgbm
import mlflow.lightgbm
import numpy as np


def main(text: Path, model: Path, body: Path, rows: int) -> None:
    """Write the model's folder and the body."""
    booster = lightgbm.Booster(model_str=text.read_text())
    mlflow.lightgbm.save_model(booster, str(model))
    x = np.random.default_rng(0).exponential(3.0, (rows, booster.num_feature()))
    body.write_text(json.dumps({"inputs": x.round(6).tolist()}) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4]))
