"""``python -m dermassist``: the same as the command ``dermassist``."""

from dermassist.interfaces.cli import main

if __name__ == "__main__":
    main()
