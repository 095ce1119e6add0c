"""`python -m transfer_lab` is the `transfer-lab` command."""

from transfer_lab.cli.app import main

if __name__ == "__main__":
    main()
