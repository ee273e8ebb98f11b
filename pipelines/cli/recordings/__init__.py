"""Commands that put models to work on recordings: events, tags, words, films.

`detect` finds events; `words` has tag, classify and attention; `video` makes a film.
"""
