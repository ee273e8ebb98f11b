"""detect: events in audio files of any length, rate and number of channels.

In this process for a few files, as a Ray Data job for many.
"""
