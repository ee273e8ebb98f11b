"""The parameters of a PSDS, and those of DCASE task 4."""

from dataclasses import dataclass

import numpy as np

from pmam.errors import InputError


@dataclass(frozen=True, kw_only=True)
class PSDSSettings:
    """The parameters of a PSDS (arXiv 1910.08440, sections 2 and 3).

    Args:
        dtc: part of a detection that must lie in events of its class, in (0, 1].
        gtc: part of an event that valid detections must cover, in (0, 1].
        cttc: part of a false positive that must lie in events of another class to cross-trigger
            it, in (0, 1]; None: cross triggers are not counted.
        alpha_ct: weight of the cross-trigger rate in the effective false-positive rate.
        alpha_st: weight of the standard deviation across classes, taken from their mean ratio.
        e_max: the effective false-positive rate per hour up to which the area is taken.
    """

    dtc: float
    gtc: float
    cttc: float | None = None
    alpha_ct: float = 0.0
    alpha_st: float = 0.0
    e_max: float = 100.0

    def __post_init__(self) -> None:
        for name, part in (("dtc", self.dtc), ("gtc", self.gtc), ("cttc", self.cttc)):
            if part is not None and not 0 < part <= 1:
                raise InputError(f"{name}={part}: expected a part of the whole in (0, 1]")
        for name, weight in (("alpha_ct", self.alpha_ct), ("alpha_st", self.alpha_st)):
            if not 0 <= weight < np.inf:
                raise InputError(f"{name}={weight}: expected a finite weight of 0 or more")
        if not 0 < self.e_max < np.inf:
            raise InputError(f"e_max={self.e_max}: expected a positive rate per hour")
        if self.alpha_ct > 0 and self.cttc is None:
            raise InputError(f"alpha_ct={self.alpha_ct} weighs cross triggers: give cttc too")


PSDS1 = PSDSSettings(dtc=0.7, gtc=0.7, cttc=None, alpha_ct=0.0, alpha_st=1.0, e_max=100.0)
"""DCASE task 4, scenario 1: exact localisation in time."""

PSDS2 = PSDSSettings(dtc=0.1, gtc=0.1, cttc=0.3, alpha_ct=0.5, alpha_st=1.0, e_max=100.0)
"""DCASE task 4, scenario 2: no confusion between classes."""
