"""prototypes: what each prototype is, by its clips to see and hear and by known labels.

Begin with `survey`.
"""
