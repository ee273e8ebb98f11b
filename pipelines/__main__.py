"""`python -m pipelines` is `pmam`."""

from pipelines.cli.main import main

if __name__ == "__main__":
    main()
