"""Frame sequences in Arrow files: embeddings, encoder inputs, posteriors, scores.

`writer` writes one file per audio shard, one row per clip; `reader` gives random access by key,
`frame_set` to the files of a stage together.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
