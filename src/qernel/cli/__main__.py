"""``python -m qernel.cli``."""

import sys

from qernel.cli.entry import main

sys.exit(main())
