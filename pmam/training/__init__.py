"""The trainer: optimizer steps, schedules, groups of parameters, precision.

One loop for each objective; it knows nothing of files and nothing of Ray.
"""
