"""Trains a small network on a made task and writes it as a model folder: ``make_model.py FOLDER [SEED]``.

A real model in a real format, for the quickstart and for tests: 16.8 MB of float32 in safetensors.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy
from safetensors.numpy import save_file

WIDTH = 2048
STEPS = 30
LEARNING_RATE = 0.01


def train(seed: int) -> tuple[dict[str, numpy.ndarray], float]:
    """A network of one hidden layer that learns ``sin`` of the sum of its inputs; its tensors and last loss."""
    generator = numpy.random.default_rng(seed)
    embed = generator.normal(0, 0.5, (8, WIDTH)).astype("float32")
    hidden = generator.normal(0, WIDTH**-0.5, (WIDTH, WIDTH)).astype("float32")
    head = numpy.zeros(WIDTH, "float32")
    loss = 0.0
    for _ in range(STEPS):
        inputs = generator.uniform(-1, 1, (64, 8)).astype("float32")
        features = numpy.tanh(numpy.tanh(inputs @ embed) @ hidden)
        error = features @ head - numpy.sin(inputs.sum(axis=1))
        head -= LEARNING_RATE * features.T @ error / len(error)
        loss = float((error**2).mean())
    return {"embed.weight": embed, "hidden.weight": hidden, "head.weight": head}, loss


def main() -> None:
    """Writes the folder."""
    folder = Path(sys.argv[1])
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else 0
    folder.mkdir(parents=True, exist_ok=True)
    tensors, loss = train(seed)
    save_file(tensors, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps({"width": WIDTH, "steps": STEPS, "seed": seed}, indent=2) + "\n")
    size = (folder / "model.safetensors").stat().st_size
    print(f"{folder}: {len(tensors)} tensors, {size / 1e6:.1f} MB, loss {loss:.3f}")


if __name__ == "__main__":
    main()
