"""``python -m tabulary``."""

from tabulary.cli.main import main

if __name__ == "__main__":
    main()
