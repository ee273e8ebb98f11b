"""Commands that show what came out of a run: report, prototypes; and what of it stays.

`report` and `prototypes` make pages, `clean` keeps what counts of a finished run.
"""
