"""Commands that send work to a cluster, and follow it there.

`submit` has both commands; `submitted` reads what is to run, `manifests` renders it.
"""
