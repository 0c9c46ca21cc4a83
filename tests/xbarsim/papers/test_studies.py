"""The studies by name: every one is where its entry says, and listing them imports nothing slow."""

import subprocess
import sys

import pytest

from xbarsim.errors import InputError
from xbarsim.papers.studies import STUDIES, study
from xbarsim.papers.study import Study


@pytest.mark.parametrize("name", STUDIES)
def test_every_study_is_where_its_entry_says(name):
    found = study(name)
    assert isinstance(found, Study) and callable(found.tasks) and callable(found.show)
    assert STUDIES[name].about.endswith(".") and "\n" not in STUDIES[name].about


def test_no_two_names_are_one_study():
    places = [entry.place for entry in STUDIES.values()]
    assert len(set(places)) == len(places)


def test_unknown_names_are_refused_with_the_known_ones():
    with pytest.raises(InputError, match=r"study: expected one of aft-fig3, .* got 'fat-table9'"):
        study("fat-table9")


def test_a_list_of_them_imports_nothing():
    code = "import sys; import xbarsim.papers.studies; print({'torch', 'numba', 'numpy'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
