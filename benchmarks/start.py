"""Start: seconds until the command line has been imported (target: at most 0.5 s), over fresh processes."""

import argparse
import statistics
import subprocess
import sys
import time


def seconds(code: str) -> float:
    """Return the wall-clock time of a fresh process that runs `code`."""
    begun = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True)
    return time.perf_counter() - begun


def main() -> None:
    """Print the medians: a bare interpreter, and one that imports the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeat", type=int, default=11)
    repeat = parser.parse_args().repeat
    seconds("import cxreco.cli")
    bare = statistics.median(seconds("pass") for _ in range(repeat))
    loaded = statistics.median(seconds("import cxreco.cli") for _ in range(repeat))
    print(f"interpreter {bare:.3f} s, with the command line imported {loaded:.3f} s")
    print(f"the import takes {loaded - bare:.3f} s, median of {repeat}")


if __name__ == "__main__":
    main()
