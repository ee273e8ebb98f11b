"""Augmentations of training examples: pure functions of random numbers that are drawn apart."""

from pmam.augment.chain import Examples, InputScale, augment, augment_once
from pmam.augment.settings import AugmentSettings

__all__ = ["AugmentSettings", "Examples", "InputScale", "augment", "augment_once"]
