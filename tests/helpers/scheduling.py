"""Which tests stay together when several processes share them."""

from xdist.scheduler import LoadFileScheduling

ALONE = "tests/test_documents.py"


class FilesAndSnippets(LoadFileScheduling):
    """Whole files, since their tests share fixtures; but every snippet of the documents by itself.

    What has most tests begins first, so that single snippets come last, and no process waits long for the
    other.
    """

    def _split_scope(self, nodeid: str) -> str:
        return nodeid if nodeid.startswith(ALONE) else super()._split_scope(nodeid)
