from .script import SlurmError as SlurmError
from .script import SlurmSettings as SlurmSettings
from .script import rendered as rendered
