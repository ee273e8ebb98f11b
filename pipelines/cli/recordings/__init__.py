"""Commands that put models to work on recordings: events, tags, words, films."""
