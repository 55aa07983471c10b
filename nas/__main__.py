"""`python -m nas` is `nas-run`."""

import sys

from nas.cli.run import main

sys.exit(main())
