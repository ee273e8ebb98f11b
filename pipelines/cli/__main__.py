"""`python -m pipelines.cli` is `pmam`."""

from pipelines.cli.main import main

main()
