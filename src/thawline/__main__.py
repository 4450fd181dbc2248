"""`python -m thawline`."""

from thawline.cli.app import leave

if __name__ == "__main__":
    leave()
