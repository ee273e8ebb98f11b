"""What stands in folders of runs and stages: read, made, set aside and cleared.

`urls` opens what is at a URL, `inputs` says what identifies it.
"""
