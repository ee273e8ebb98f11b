"""Training on all workers: batches from shards, the loop, what it records.

`job` starts it, `loop` is what each worker runs, on batches from `examples`; pretraining and
fine-tuning are two tasks of it.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
