"""Faults of processing elements: what a list holds, what it refuses, what a file gives back."""

from dataclasses import astuple, fields, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xbarsim.errors import InputError
from xbarsim.faults.pe import (
    SHARED,
    FinnGeometry,
    PeFault,
    PeFaultKind,
    PeFaults,
    UnitGeometry,
    check_faults,
    count_faults,
    enumerate_faults,
    faults_at,
    join,
)

# 6 rows on 2 PEs are 3 folds; 12 columns on 4 lanes are 3 folds; a memory has 9 words of 8 bits
INNER = UnitGeometry(
    rows=6,
    columns=12,
    pe=2,
    simd=4,
    weight_bits=2,
    threshold_bits=7,
    accumulator_bits=5,
    thresholds=2,
    values=(-1, 0, 1),
    products=(-2, 0, 2),
    pixels=10,
)
LAST = replace(INNER, thresholds=0, values=(), pixels=0)
# units, words, bits, values
PLACES = {
    PeFaultKind.channel: (6, 0, 0, (-1, 0, 1)),
    PeFaultKind.pe: (2, 0, 0, (-1, 0, 1)),
    PeFaultKind.lane: (2, 4, 0, (-2, 0, 2)),
    PeFaultKind.weight: (2, 9, 8, (0, 1)),
    PeFaultKind.threshold: (2, 6, 7, (0, 1)),
    PeFaultKind.accumulator: (2, 0, 5, (0, 1)),
    PeFaultKind.pixel: (10, 0, 0, (-1, 0, 1)),
}
kinds = pytest.mark.parametrize("kind", PeFaultKind, ids=lambda kind: kind.name)


def every_fault(kind, layer=0):
    """By hand, in the order unit, word, bit, value."""
    units, words, bits, values = PLACES[kind]
    return [
        PeFault(kind=kind, layer=layer, unit=unit, word=word, bit=bit, value=value)
        for unit in range(units)
        for word in (range(words) if words else [-1])
        for bit in (range(bits) if bits else [-1])
        for value in values
    ]


def everything():
    return join([enumerate_faults(layer, INNER, kind) for kind in PeFaultKind for layer in (0, 1)])


def one_line(caught):
    return "\n" not in str(caught.value)


@kinds
def test_enumeration_lists_every_fault_in_order(kind):
    found = enumerate_faults(3, INNER, kind)
    assert list(found) == every_fault(kind, layer=3)
    assert len(found) == count_faults(INNER, kind)
    check_faults(found, FinnGeometry((INNER,) * 4))


@kinds
def test_layer_without_activations_has_no_faults_of_them(kind):
    found = enumerate_faults(0, LAST, kind)
    none = kind in (PeFaultKind.channel, PeFaultKind.pe, PeFaultKind.threshold, PeFaultKind.pixel)
    assert len(found) == count_faults(LAST, kind)
    assert (len(found) == 0) == none


@given(
    st.integers(1, 9),
    st.integers(1, 9),
    st.integers(1, 5),
    st.integers(1, 5),
    st.integers(1, 3),
    st.sampled_from([(), (-1, 1), (0, 1, 2, 3)]),
)
def test_counts_are_those_of_the_enumeration(rows, columns, pe, simd, bits, values):
    """Also where the folding of a shared array does not divide a layer."""
    own = replace(INNER, rows=rows, columns=columns, pe=pe, simd=simd, weight_bits=bits, values=values)
    for kind in PeFaultKind:
        found = enumerate_faults(0, own, kind)
        assert len(found) == count_faults(own, kind)
        assert len(np.unique(found.table, axis=0)) == len(found)
        check_faults(found, FinnGeometry((own,)))


@kinds
@pytest.mark.parametrize("name", ["unit", "word", "bit", "value"])
@pytest.mark.parametrize("end", ["low", "high"])
def test_places_outside_the_unit_are_refused(kind, name, end):
    fault = every_fault(kind)[0]
    units, words, bits, values = PLACES[kind]
    size = {"unit": units, "word": words, "bit": bits}.get(name)
    beyond = {"low": -2 if not size else -1, "high": size or 0}[end]
    if name == "value":
        beyond = {"low": min(values) - 1, "high": max(values) + 1}[end]
    with pytest.raises(InputError) as caught:
        check_faults(PeFaults.of([fault, replace(fault, **{name: beyond})]), FinnGeometry((INNER,)))
    assert str(caught.value).startswith(f"fault: {kind.name} in layer 0, unit ")
    assert f"got {beyond}" in str(caught.value)
    assert one_line(caught)


@kinds
def test_last_places_of_the_unit_are_accepted(kind):
    check_faults(PeFaults.of([every_fault(kind)[-1]]), FinnGeometry((INNER,)))


@pytest.mark.parametrize(
    "kind", [PeFaultKind.channel, PeFaultKind.pe, PeFaultKind.threshold, PeFaultKind.pixel]
)
def test_faults_of_activations_are_refused_where_there_are_none(kind):
    with pytest.raises(InputError, match="for this kind and layer") as caught:
        check_faults(PeFaults.of([every_fault(kind)[0]]), FinnGeometry((LAST,)))
    assert one_line(caught)


@pytest.mark.parametrize("layer", [-2, -1, 2, 99])
def test_layers_outside_the_design_are_refused(layer):
    fault = replace(every_fault(PeFaultKind.pe)[0], layer=layer)
    with pytest.raises(InputError) as caught:
        check_faults(PeFaults.of([fault]), FinnGeometry((INNER, LAST)))
    assert str(caught.value).startswith(f"fault: expected a layer in 0..1, got {layer}")


@kinds
def test_only_pe_lane_and_accumulator_sit_in_the_shared_array(kind):
    faults = PeFaults.of([replace(every_fault(kind)[0], layer=-1)])
    if kind in SHARED:
        check_faults(faults, FinnGeometry((LAST,), INNER))
        return
    with pytest.raises(InputError, match="the number of a layer") as caught:
        check_faults(faults, FinnGeometry((INNER,), INNER))
    assert f"{kind.name} in all layers" in str(caught.value)
    assert one_line(caught)


def test_image_before_the_first_is_refused():
    fault = every_fault(PeFaultKind.pe)[0]
    check_faults(PeFaults.of([fault, replace(fault, image=0)]), FinnGeometry((INNER,)))
    with pytest.raises(InputError, match="image -1") as caught:
        check_faults(PeFaults.of([fault, replace(fault, image=-2)]), FinnGeometry((INNER,)))
    assert one_line(caught)


def test_no_faults_are_fine():
    check_faults(PeFaults.of([]), FinnGeometry((INNER,)))
    assert len(join([])) == 0
    assert PeFaults.of([]).counts() == {}


def test_list_gives_back_its_faults():
    faults = [replace(f, image=i - 1) for i, f in enumerate(every_fault(PeFaultKind.weight))]
    found = PeFaults.of(faults)
    assert list(found) == faults
    assert found.table.tolist() == [list(astuple(f)) for f in faults]
    for field in fields(PeFault):
        assert found.column(field.name).tolist() == [getattr(f, field.name) for f in faults]
    assert [f.permanent for f in found][:2] == [True, False]


@pytest.mark.parametrize(
    "table", [np.zeros((3, 6), np.int64), np.zeros(7, np.int64), np.zeros((3, 7)), np.zeros((3, 7), np.int32)]
)
def test_tables_of_another_form_are_refused(table):
    with pytest.raises(InputError, match=r"PeFaults\.table") as caught:
        PeFaults(table)
    assert one_line(caught)


def test_filter_keeps_the_faults_with_the_wanted_fields():
    every = everything()
    found = every.where(kind=[PeFaultKind.pe, PeFaultKind.lane], layer=1, value=0)
    wanted = (PeFaultKind.pe, PeFaultKind.lane)
    assert list(found) == [f for f in every if f.kind in wanted and f.layer == 1 and f.value == 0]
    assert len(found) == 2 + 8
    assert len(every.where()) == len(every)
    assert len(every.where(unit=99)) == 0


def test_counts_are_of_each_kind():
    expected = {kind.name: 2 * len(every_fault(kind)) for kind in PeFaultKind}
    assert everything().counts() == expected
    assert everything().where(kind=PeFaultKind.lane).counts() == {"lane": 48}


def test_take_follows_places_and_masks():
    every = everything()
    assert list(every.take(np.array([5, 2, 2]))) == [every[5], every[2], every[2]]
    assert list(every.take(np.arange(len(every)) == 7)) == [every[7]]


def test_samples_are_different_faults_in_order_and_reproducible():
    every = everything()
    found = every.sample(100, np.random.default_rng(1))
    order = {fault: place for place, fault in enumerate(every)}
    places = [order[fault] for fault in found]
    assert places == sorted(set(places))
    assert len(found) == 100
    assert (found.table == every.sample(100, np.random.default_rng(1)).table).all()
    assert (found.table != every.sample(100, np.random.default_rng(2)).table).any()
    assert (every.sample(len(every), np.random.default_rng(3)).table == every.table).all()


def test_every_fault_is_sampled_as_often():
    every, rng = enumerate_faults(0, INNER, PeFaultKind.pe), np.random.default_rng(4)
    drawn = np.zeros(len(every))
    for _ in range(3000):
        drawn[[list(every).index(f) for f in every.sample(2, rng)]] += 1
    assert np.abs(drawn - 1000).max() < 130  # five standard deviations


@pytest.mark.parametrize("count", [0, -1, 7, 2.5, True, "3"])
def test_samples_of_no_or_too_many_faults_are_refused(count):
    with pytest.raises(InputError, match="sample of faults") as caught:
        enumerate_faults(0, INNER, PeFaultKind.pe).sample(count, np.random.default_rng(0))
    assert one_line(caught)


def test_struck_faults_are_the_same_places_in_one_image():
    every = enumerate_faults(0, INNER, PeFaultKind.pe)
    found = every.struck(np.arange(6))
    assert list(found) == [replace(f, image=i) for i, f in enumerate(every)]
    assert all(f.permanent for f in every)


def test_faults_say_what_they_are():
    weight = PeFault(kind=PeFaultKind.weight, layer=2, unit=0, word=3, bit=1, value=1, image=8)
    assert str(weight) == "weight in layer 2, unit 0, word 3, bit 1, value 1, image 8"
    assert (
        str(PeFault(kind=PeFaultKind.pe, layer=-1, unit=4, value=-1)) == "pe in all layers, unit 4, value -1"
    )


def test_files_give_back_the_list(tmp_path):
    every = everything()
    found = join([every, every.struck(np.arange(len(every)))])
    path = found.save(tmp_path / "folder" / "faults.csv")
    assert (PeFaults.load(path).table == found.table).all()
    head = path.read_text().splitlines()[:2]
    assert head == ["kind,layer,unit,word,bit,value,image", "channel,0,0,-1,-1,-1,-1"]


def test_file_of_no_faults_gives_none(tmp_path):
    assert len(PeFaults.load(PeFaults.of([]).save(tmp_path / "none.csv"))) == 0


HEAD = "kind,layer,unit,word,bit,value,image\n"


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("", "expected the columns kind,layer,unit,word,bit,value,image, got nothing"),
        ("layer,unit\n", "got layer,unit"),
        ("x" * 1000, "expected the columns"),
        ('"a\nb",c\n', "expected the columns"),
        (HEAD + "pe,0,0,-1,-1,1,-1\npe,0,0,-1,-1,1\n", "line 3"),
        (HEAD + "pe,0,0,-1,-1,1,-1,4\n", "line 2"),
        (HEAD + "PE,0,0,-1,-1,1,-1\n", "line 2"),
        (HEAD + "1,0,0,-1,-1,1,-1\n", "line 2"),
        (HEAD + "pe,0,0,,,1,-1\n", "line 2"),
        (HEAD + "pe,0,0.5,-1,-1,1,-1\n", "line 2"),
        (HEAD + "pe,0,1e3,-1,-1,1,-1\n", "line 2"),
        (HEAD + "pe,0,9999999999,-1,-1,1,-1\n", "line 2"),
        (HEAD + "pe,0," + "9" * 5000 + ",-1,-1,1,-1\n", "line 2"),
        (HEAD + 'pe,0,"0\n0",-1,-1,1,-1\n', "line 2"),
        (HEAD + "\n\npe,0,x,-1,-1,1,-1\n", "line 4"),
        (HEAD + "pe," + "0" * 200_000 + "\n", "field"),
        (HEAD + "pe,0,\0,-1,-1,1,-1\n", "fault list"),
    ],
)
def test_damaged_files_are_refused_by_their_line(tmp_path, content, text):
    path = tmp_path / "faults.csv"
    path.write_text(content)
    with pytest.raises(InputError) as caught:
        PeFaults.load(path)
    assert str(caught.value).startswith(f"fault list {path}")
    assert text in str(caught.value)
    assert one_line(caught)
    assert len(str(caught.value)) < 400 + len(str(path))


def test_files_that_are_no_text_and_folders_are_refused(tmp_path):
    path = tmp_path / "faults.csv"
    path.write_bytes(b"\xff\xfe\x00kind")
    for place in (path, tmp_path, tmp_path / "missing.csv"):
        with pytest.raises(InputError) as caught:
            PeFaults.load(place)
        assert str(caught.value).startswith(f"fault list {place}: expected a CSV file that can be read, got ")
        assert one_line(caught)


def test_lines_of_other_systems_are_read(tmp_path):
    path = tmp_path / "faults.csv"
    path.write_bytes((HEAD + "pe,0,1,-1,-1,1,-1\n").replace("\n", "\r\n").encode())
    assert list(PeFaults.load(path)) == [PeFault(kind=PeFaultKind.pe, layer=0, unit=1, value=1)]


def test_places_that_cannot_be_written_are_refused(tmp_path):
    with pytest.raises(InputError, match="a place that can be written") as caught:
        everything().save(tmp_path)
    assert one_line(caught)


@given(st.binary(max_size=60) | st.text(max_size=60).map(str.encode))
def test_load_gives_a_list_or_one_line(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("any") / "faults.csv"
    for start in (b"", HEAD.encode(), HEAD.encode() + b"pe,0,0,-1,-1,1,-1\n"):
        path.write_bytes(start + content)
        try:
            PeFaults.load(path)
        except InputError as error:
            assert "\n" not in str(error)


@kinds
def test_numbers_are_places_of_the_list(kind):
    every = enumerate_faults(1, INNER, kind)
    numbers = np.random.default_rng(5).integers(0, len(every), 30)
    assert faults_at(1, INNER, kind, numbers) == every.take(numbers)


@pytest.mark.parametrize("shared", [None, LAST], ids=["dataflow", "loopback"])
def test_a_geometry_lists_kinds_then_layers_and_counts_without_listing(shared):
    geometry = FinnGeometry((INNER, LAST, INNER), shared)
    found = geometry.fault_list([PeFaultKind.lane, PeFaultKind.weight], layers=[2, 0])
    places = [(-1, LAST)] if shared else [(2, INNER), (0, INNER)]
    lanes = [enumerate_faults(layer, unit, PeFaultKind.lane) for layer, unit in places]
    weights = [enumerate_faults(layer, INNER, PeFaultKind.weight) for layer in (2, 0)]
    assert found == join([*lanes, *weights])
    for kind in PeFaultKind:
        assert geometry.count_faults(kind) == len(geometry.fault_list([kind]))
    geometry.fault_list(PeFaultKind).check(geometry)
    assert str(geometry) == "3-layer FINN design"


@pytest.mark.parametrize("layer", [-1, 3, 0.5])
def test_a_geometry_refuses_layers_that_it_has_not(layer):
    with pytest.raises(InputError, match=r"layers?: expected .*an integer"):
        FinnGeometry((INNER,) * 3).fault_list([PeFaultKind.pe], [layer])
