"""`python -m nas` is `nas-run`."""

import sys

from nas.cli import main

sys.exit(main())
