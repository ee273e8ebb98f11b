from .render import rendered as rendered
