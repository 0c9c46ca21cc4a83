"""`xbarsim report` from outside."""

import pytest

from tests.helpers.program import refused, run_well

MAKE = ("simulate", "--chips", "2", "--images", "20", "--store", "c.db")
MODELS = ("-f", "stuck-cells:rate=0.01", "-f", "stuck-cells:rate=0.03")


@pytest.fixture
def store(capsys, folder):
    run_well(capsys, *MAKE, *MODELS)
    return folder / "c.db"


def test_a_page_is_written_beside_the_store_or_elsewhere(store, capsys, folder):
    assert run_well(capsys, "report", "c.db") == "wrote c.html\n"
    assert run_well(capsys, "report", "c.db", "--out", "page.html") == "wrote page.html\n"
    command = "xbarsim report c.db --figures figures --only accuracy-digits-mlp"
    assert command in (folder / "page.html").read_text()


def test_figures_are_written_alone_or_with_the_page(store, capsys, folder):
    run_well(capsys, "report", "c.db", "--figures", "f", "--only", "accuracy-digits-mlp")
    assert sorted(path.name for path in (folder / "f").iterdir()) == [
        "accuracy-digits-mlp.png", "accuracy-digits-mlp.svg"
    ]  # fmt: skip
    assert not (folder / "c.html").exists()
    run_well(capsys, "report", "c.db", "--figures", "all", "--out", "page.html")
    assert (folder / "page.html").exists() and len(list((folder / "all").iterdir())) >= 4


def test_mistakes_are_one_line_and_touch_nothing(store, capsys, folder):
    before = store.read_bytes()
    assert "--figures FOLDER beside it" in refused(capsys, "report", "c.db", "--only", "x")
    assert "expected one of accuracy-digits-mlp" in refused(
        capsys, "report", "c.db", "--figures", "f", "--only", "x"
    )
    assert "the store itself" in refused(capsys, "report", "c.db", "--out", "c.db")
    for name, words in ((".", "no regular file"), ("", "no regular file"), ("none.db", "no such file")):
        assert words in refused(capsys, "report", name)
    (folder / "text.db").write_text("no store")
    assert "not a database" in refused(capsys, "report", "text.db")
    assert store.read_bytes() == before
