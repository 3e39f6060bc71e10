from __future__ import annotations

from benchmarks.precision import WAYS, to_table


def test_speeds_are_told_beside_those_of_float32() -> None:
    measured = {"160": {"float32": 50.0, "plain": 40.0, "ours": 90.0}}
    table = to_table(
        {
            "batch": 32,
            "rounds": 7,
            "threads": 2,
            "instructions": ["avx2"],
            "images_per_second": measured,
        }
    )
    assert table.header == ("Precision", "160 px")
    assert [row[0] for row in table.rows] == list(WAYS.values())
    assert [row[1] for row in table.rows] == ["50 (1.00)", "40 (0.80)", "90 (1.80)"]
    assert "2 threads" in table.notes[0]
