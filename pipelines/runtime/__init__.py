"""What every stage stands on: stages that are done once, parallel work, logs and progress.

`stage` decides whether a stage is done, goes on, or begins.
"""
