from pipelines.stages.fit.settings import FitSettings as FitSettings
from pipelines.stages.fit.stage import fit as fit
from pipelines.stages.fit.stage import sweep_of as sweep_of
