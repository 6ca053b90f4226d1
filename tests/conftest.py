"""What holds for every test process."""

import os

# Readline tells xdist's workers how wide a terminal is; a console that is made under it keeps that
# width, whatever a test asks for.
os.environ.pop("COLUMNS", None)
