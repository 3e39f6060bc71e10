"""Training: augmentation, the Lightning module, the run."""
