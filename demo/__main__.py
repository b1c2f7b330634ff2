"""What `python -m demo` runs. Ctrl-C while the rest is still being imported ends quietly too."""

import sys

if __name__ == "__main__":
    try:
        from demo.cli import main

        status = main()
    except KeyboardInterrupt:
        status = 130
    sys.exit(status)
