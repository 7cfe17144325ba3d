"""Which seeds of the simulation are run, from the command line.

python tests/simulated_shell/run.py --seeds 5000 [--first 0]
python tests/simulated_shell/run.py --seed 17 [--trace]
python tests/simulated_shell/run.py --crash link-a:statement:12 [--trace]
"""

import argparse
import sys
from collections import Counter
from pathlib import Path
from time import monotonic


def main() -> int:
    """Run seeds and print those that fail; the exit code says whether there are any."""
    parser = argparse.ArgumentParser(description="Deterministic simulation of link, integrate and delivery.")
    parser.add_argument("--seeds", type=int, default=1000, help="how many seeds")
    parser.add_argument("--first", type=int, default=0, help="the first of them")
    parser.add_argument("--seed", type=int, help="only this one")
    parser.add_argument("--crash", metavar="PROCESS:step|statement:N", help="a quiet world with this one crash")
    parser.add_argument("--trace", action="store_true", help="print everything that happens")
    parser.add_argument("--stop-after", type=int, default=20, metavar="N", help="end after so many failing seeds")
    wanted = parser.parse_args()
    # A script finds its own folder first; the modules are found from the one above, as in the tests.
    sys.path[0] = str(Path(__file__).resolve().parents[1])
    from simulated_shell.faults import planned
    from simulated_shell.history import small_history
    from simulated_shell.runner import Simulator

    simulator = Simulator()
    if wanted.crash is not None:
        outcome = simulator.run_crash(planned(wanted.crash), small_history(), keep_lines=wanted.trace)
        sys.stdout.write("\n".join([*outcome.lines, *outcome.problems, f"trace {outcome.trace}", ""]))
        return 1 if outcome.problems else 0
    seeds = range(wanted.first, wanted.first + wanted.seeds) if wanted.seed is None else [wanted.seed]
    failing: list[int] = []
    happened: Counter[str] = Counter()
    begun = monotonic()
    for count, seed in enumerate(seeds, 1):
        outcome = simulator.run_seed(seed, keep_lines=wanted.trace)
        happened.update(outcome.happened)
        if wanted.trace:
            sys.stdout.write("\n".join([*outcome.lines, ""]))
        if outcome.problems:
            failing.append(seed)
            sys.stdout.write(f"seed {seed} fails:\n  " + "\n  ".join(outcome.problems) + "\n")
        if len(seeds) > 1 and (count % 50 == 0 or count == len(seeds)):
            rate = count / (monotonic() - begun)
            sys.stderr.write(f"{count} seeds, {len(failing)} fail, {rate:.1f} seeds/s\n")
        if len(failing) >= wanted.stop_after:
            break
        if len(seeds) == 1:
            sys.stdout.write(
                f"seed {seed}: {outcome.steps} steps, {outcome.statements} statements,"
                f" {outcome.virtual_seconds:.0f} simulated seconds, trace {outcome.trace}\n"
            )
    sys.stderr.write(f"faults: {dict(happened.most_common())}\n")
    sys.stderr.write(f"failing: {failing}\n")
    return 1 if failing else 0


if __name__ == "__main__":
    sys.exit(main())
