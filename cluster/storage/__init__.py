"""Filesystems behind URLs, their credentials, and downloads that are checked.

A folder at a URL is opened anew in each process, so that no credential travels.
"""
