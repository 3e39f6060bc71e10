"""Save cases until killed, saying each number once it is kept; started by test_kill.py."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.unit.cases.made import assessment_of, image_bytes

from dermassist.cases import CaseBook

if __name__ == "__main__":
    with CaseBook.open(Path(sys.argv[1])) as book:
        for seed in range(100_000):
            image = image_bytes(seed, size=200_000)
            case = book.save(assessment_of(image, name=f"{seed}.jpg"), image)
            sys.stdout.write(f"{case.case_id} {seed}\n")
            sys.stdout.flush()
