"""Trains a small model and pushes it as a new version: ``train.py MODEL [--steps N]``. The last line is its reference.

A logistic regression on two clouds of points, in numpy alone: what is around it is what a real training job needs.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
from blake3 import blake3

import weighbridge as wb

DATASET = "clouds"
DATASET_VERSION = "2026-10"
FEATURES = 16
LEARNING_RATE = 0.1


def clouds(seed: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Points of two clouds that overlap, and to which of the two each belongs."""
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, 2, count)
    return generator.normal(0, 1, (count, FEATURES)) + np.outer(labels - 0.5, np.linspace(1, 0, FEATURES)), labels


def main() -> None:
    """Trains, and pushes what came of it with all that says how."""
    parser = argparse.ArgumentParser(description="Train a small model and push it as a new version.")
    parser.add_argument("model")
    parser.add_argument("--steps", type=int, default=200)
    arguments = parser.parse_args()
    points, labels = clouds(seed=1, count=4000)
    unseen, truth = clouds(seed=2, count=1000)
    tags: dict[str, wb.Scalar] = {
        "data_sensitivity": "public",
        "cost_per_inference": 0.00001,
        "dataset_version": DATASET_VERSION,
        "hardware_target": "cpu",
    }
    params: dict[str, wb.Scalar] = {"steps": arguments.steps, "learning_rate": LEARNING_RATE}
    with wb.connect() as client, client.begin(arguments.model, tags=tags, params=params) as version:
        digest = f"b3:{blake3(points.tobytes() + labels.tobytes()).hexdigest()}"
        version.add_dataset(DATASET, version=DATASET_VERSION, digest=digest, role="train")
        # Weights of chance, as bad as guessing: so that how long it was trained shows.
        weights = np.random.default_rng(3).normal(0, 1, FEATURES)
        for step in range(1, arguments.steps + 1):
            guess = 1 / (1 + np.exp(-(points @ weights)))
            weights -= LEARNING_RATE * points.T @ (guess - labels) / len(labels)
            version.log_metric("accuracy", float(((unseen @ weights > 0) == truth).mean()), step)
        with tempfile.TemporaryDirectory() as folder:
            np.savez(Path(folder) / "weights.npz", weights=weights)
            version.add(Path(folder) / "weights.npz")
            version.wait()  # until it has left the folder
    assert version.result is not None, "a block that ends without an exception has committed"
    print(version.result.version.ref)


if __name__ == "__main__":
    main()
