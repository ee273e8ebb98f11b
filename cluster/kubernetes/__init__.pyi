from .manifest import Group as Group
from .manifest import rendered as rendered
from .settings import KubernetesSettings as KubernetesSettings
from .settings import ManifestError as ManifestError
