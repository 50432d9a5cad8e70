"""`python -m identity`, for where the `identity` command is not on the path."""

from identity.cli import main

if __name__ == "__main__":
    main()
