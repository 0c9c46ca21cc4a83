"""The names of a layer's fields and their places in the flat array agree."""

from xbarsim.kernels import layout


def test_every_field_stands_where_its_name_says():
    for place, name in enumerate(layout.FIELDS):
        assert getattr(layout, name.upper()) == place
    assert len(set(layout.FIELDS)) == len(layout.FIELDS)
