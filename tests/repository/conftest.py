"""Makes the plain modules beside the tests importable."""

import sys
from pathlib import Path

# checkout and readme_tables are plain modules; pytest's importlib mode puts no test folder on the path.
sys.path.insert(0, str(Path(__file__).parents[1]))
