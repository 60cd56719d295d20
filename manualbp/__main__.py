"""``python -m manualbp`` is the command ``manualbp``."""

import sys

from manualbp.cli import main

if __name__ == "__main__":
    sys.exit(main())
