"""What a training begins with."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch

from dermassist.config import TrainingConfig
from dermassist.data.ham10000 import read_ham10000
from dermassist.diagnosis import DIAGNOSES
from dermassist.model.network import MobileNetV2
from dermassist.training.loss import class_weights
from dermassist.training.run import Start, make_module


def test_a_training_weighs_classes_by_its_own_images(make_ham10000: Callable[..., Path]) -> None:
    records = read_ham10000(make_ham10000(lesions_per_class=4)).records
    # Six images of each class in the data set: of these one class has five, and two have none.
    some = [record for record in records if record.diagnosis.index < 5][:29]
    config = TrainingConfig()
    made = make_module(config, some, Start(MobileNetV2().state_dict()))
    counts = [sum(record.diagnosis is diagnosis for record in some) for diagnosis in DIAGNOSES]
    settings = config.optimisation
    wanted = class_weights(counts, power=settings.class_weight_power, cap=settings.class_cap)
    torch.testing.assert_close(made.loss.weights, wanted)
