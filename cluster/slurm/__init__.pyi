from .script import rendered as rendered
from .settings import SlurmError as SlurmError
from .settings import SlurmSettings as SlurmSettings
