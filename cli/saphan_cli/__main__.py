"""`python -m saphan_cli` is `saphan`: what the supervisor starts its processes with."""

from saphan_cli.main import main

if __name__ == "__main__":
    main()
