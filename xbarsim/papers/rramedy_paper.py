"""What RRAMedy reports, to be printed beside our own figures. Its wording is vague: so is ours here."""

from __future__ import annotations

NOT_IN_PAPER = "-"


def detection_in_paper(network: str, cell_bits: int) -> dict[str, str]:
    """Detection accuracy for permanent faults by SDC-3%, by pattern set (sections IV-B a and b, Fig. 7, 8).

    >>> detection_in_paper("mlp", 1)
    {'adversarial': '> 98%', 'original': '64%'}
    """
    if network not in ("mlp", "lenet", "convnet-quick") or cell_bits not in (1, 2):
        return {"adversarial": NOT_IN_PAPER, "original": NOT_IN_PAPER}
    if cell_bits == 2:
        return {"adversarial": "> 97%", "original": "hardly any"}
    if network == "mlp":
        return {"adversarial": "> 98%", "original": "64%"}
    return {"adversarial": "> 22 points above original", "original": NOT_IN_PAPER}


def speedup_in_paper(network: str) -> float | None:
    """Latency of March C- over that of adversarial testing (Table III); None for other networks."""
    return {"mlp": 1062.0, "lenet": 202.0, "convnet-quick": 13.0}.get(network)
