"""`python -m thawline`."""

import sys

from thawline.cli.app import main

if __name__ == "__main__":
    sys.exit(main())
