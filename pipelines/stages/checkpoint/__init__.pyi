from .describe import described as described
from .import_published import import_posteriors as import_posteriors
from .import_published import import_prototypes as import_prototypes
