"""`python -m pipelines` is `pmam`."""

from pipelines.cli import main

if __name__ == "__main__":
    main()
