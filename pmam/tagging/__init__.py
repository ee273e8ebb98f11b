"""Events and scenes by the user's own words, without training (TMRL).

`taggers` tell AudioSet tags of `windows`, `sentences` how near words are to tags; `events` and
`scenes` follow. `settings` is what is right, `settings.PUBLISHED` what the published code does.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
