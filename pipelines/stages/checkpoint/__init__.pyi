from pipelines.stages.checkpoint.describe import described as described
from pipelines.stages.checkpoint.import_published import import_posteriors as import_posteriors
from pipelines.stages.checkpoint.import_published import import_prototypes as import_prototypes
