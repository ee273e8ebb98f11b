"""Clusters and jobs for KubeRay (`ray.io/v1`), as manifests that `pmam submit --render` prints.

`ray.yaml.jinja` is the one template, `manifest` fills it in, `settings` is what can be chosen.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
