"""What the tests of the schemas share."""

import sys
from pathlib import Path

# avro_samples is a plain module; pytest's importlib mode puts no test folder on the path.
sys.path.insert(0, str(Path(__file__).parents[1]))
