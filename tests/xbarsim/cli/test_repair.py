"""`xbarsim repair` from outside."""

from tests.helpers.program import document, refused, run_well

QUICK = ("--chips", "2", "--images", "60", "--seed", "3", "--faults", "stuck-cells:rate=0.03,mix=even")
CHOSEN = ("-R", "as-it-is", "-R", "closest-values", "-R", "retrain:epochs=1,images=300")


def test_the_same_chips_are_repaired_in_every_way(capsys, folder):
    found = document(capsys, "repair", *QUICK, *CHOSEN, "--out", "out")["results"]["tasks"]
    assert [task["is"]["repair"]["name"] for task in found] == ["as-it-is", "closest-values", "retrain"]
    assert len({tuple(task["counts"]["faults"]) for task in found}) == 1
    assert sum(found[0]["hits"]) < min(sum(found[1]["hits"]), sum(found[2]["hits"]))
    for number, size in enumerate(found[2]["counts"]["update_bytes"]):
        assert (folder / "out" / f"chip-{number}-update.safetensors").stat().st_size == size
    out = run_well(capsys, "repair", *QUICK, *CHOSEN)
    for title in ("Accuracy on 60 test images", "Repairs against as-it-is", "What the repairs took"):
        assert title in out
    assert "retrain, epochs 1, images 300" in " ".join(out.split())


def test_a_diagnosed_map_is_repaired(capsys):
    document(capsys, "faults", "sample", "-n", "digits-mlp", "-f", "stuck-cells:rate=0.02", "-o", "drawn")
    document(capsys, "march", "run", "-f", "drawn", "--out", "march")
    found = document(
        capsys, "repair", "--fault-map", "march/diagnosed.safetensors", "--images", "40", "-R", "closest-values"
    )["results"]["tasks"]
    (task,) = found
    assert task["counts"]["stuck_cells"] == task["counts"]["faults"]


def test_chips_that_cannot_be_written_are_refused(capsys, board):
    line = refused(capsys, "repair", *board, "--images", "2", "--chips", "2", "-R", "closest-values")
    assert "repair closest-values: expected a chip whose cells can be written again, got FinnChip" in line
