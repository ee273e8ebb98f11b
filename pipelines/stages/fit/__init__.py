"""fit: prototypes of embeddings, in one process or on workers, for one or several K.

Begin with `stage`; `workers` is the job, `candidate` one fit.
"""
