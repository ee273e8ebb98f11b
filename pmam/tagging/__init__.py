"""Events and scenes by the user's own words, without training (TMRL).

A tagger tells AudioSet tags of windows (`taggers`, `windows`), a sentence model how near words are
to tags (`sentences`); from both follow events with times (`events`) and scenes (`scenes`).
`settings.PUBLISHED` is what the published code does, `settings` what is right.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
