"""What training minimises: weighted cross-entropy, its adjustments, and a teacher's answers."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from dermassist.config import DistillationSection, OptimisationSection


class LesionLoss(nn.Module):
    """Weighted, smoothed cross-entropy of logits ``(N, 7)`` and labels ``(N,)``, 0 to 6.

    With ``weighted_smoothing`` both together are PyTorch's (``torch.nn.CrossEntropyLoss``): the
    share that smoothing gives a class is multiplied by that class's weight, and so goes to rare
    classes above all. Under ``configs/ship.toml`` the loss of a certain nevus is least at
    probabilities of 0.778 for NV, 0.066 for DF, 0.059 for VASC and 0.036 for AKIEC. Without it the
    whole loss of an image weighs as much as its class, and would be least there at 0.957 for NV and
    0.007 for each other class. The networks that ship were trained with it.

    Args:
        settings: class weights, smoothing and adjustment.
        class_counts: training images of each class.
    """

    shift: Tensor
    weights: Tensor

    def __init__(self, settings: OptimisationSection, *, class_counts: Sequence[int]) -> None:
        super().__init__()
        weights = class_weights(
            class_counts, power=settings.class_weight_power, cap=settings.class_cap
        )
        self.register_buffer("weights", weights, persistent=False)
        self.smoothing = settings.label_smoothing
        self.weighted_smoothing = settings.weighted_smoothing
        shift = settings.logit_adjustment * log_priors(class_counts)
        self.register_buffer("shift", shift, persistent=False)

    def forward(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Return the loss, a scalar.

        The shift makes the network learn logits that are right for classes of equal frequency,
        or part of the way there (Menon et al., ICLR 2021, equation 10).
        """
        logits = logits + self.shift
        if self.weighted_smoothing:
            return nn.functional.cross_entropy(
                logits, labels, weight=self.weights, label_smoothing=self.smoothing
            )
        of_images = nn.functional.cross_entropy(
            logits, labels, reduction="none", label_smoothing=self.smoothing
        )
        of_labels = self.weights[labels]
        return (of_labels * of_images).sum() / of_labels.sum()


def class_weights(counts: Sequence[int], *, power: float, cap: int = 0) -> Tensor:
    """Return ``counts ** -power``, scaled so that the mean weight of a shown image is 1.

    Args:
        counts: training images of each class; a class without images gets weight 0.
        power: 0 no weighting, 0.5 square root, 1 every class weighs the same in total.
        cap: images of a class that an epoch shows at most; 0 shows all. Those that are shown
            stand for those that are not, so that what is minimised stays the same.
    """
    frequency = torch.tensor(counts, dtype=torch.float64)
    shown = frequency.clamp(max=cap) if cap else frequency
    total = torch.where(frequency > 0, frequency.clamp(min=1) ** (1.0 - power), 0.0)
    raw = total / shown.clamp(min=1)
    return (raw * shown.sum() / total.sum()).float()


def log_priors(counts: Sequence[int]) -> Tensor:
    """Return the log share of every class; one without images counts as having one."""
    frequency = torch.tensor(counts, dtype=torch.float64).clamp(min=1)
    return (frequency / frequency.sum()).log().float()


def distillation_loss(student: Tensor, teacher: Tensor, settings: DistillationSection) -> Tensor:
    """Return how far a student's answers are from a teacher's (Hinton et al., 2015, section 2).

    Args:
        student: logits ``(N, 7)``.
        teacher: logits ``(N, 7)`` for the same views.
        settings: holds the temperature T.

    Returns:
        ``T² KL(teacher ‖ student)``, mean over images.
    """
    temperature = settings.temperature
    divergence = nn.functional.kl_div(
        (student / temperature).log_softmax(1),
        (teacher / temperature).log_softmax(1),
        reduction="batchmean",
        log_target=True,
    )
    return divergence * temperature**2
