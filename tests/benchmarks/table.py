"""Print docs/performance.md's tables from the JSON file of pytest-benchmark that is the only argument."""

import json
import re
import sys
from pathlib import Path

PRODUCT_MACS = 512 * 512 * 256
PRODUCTS = {
    "torch_product[{t}-float32]": ("torch float32", "float32"),
    "torch_product[{t}-float64]": ("torch float64", "float64"),
    "proven_product[{t}-8]": ("collapsed, 8 x 8 bits", "float32"),
    "proven_product[{t}-16]": ("collapsed, 16 x 16 bits", "float64"),
    "bit_serial_product[{t}-8-clips]": ("bit-serial, 6-bit ADC, 8 x 8 bits", "float32"),
    "bit_serial_product[{t}-16-clips]": ("bit-serial, 6-bit ADC, 16 x 16 bits", "float32"),
    "bit_serial_product_by_tables[{t}-8]": ("the same without vector popcounts, 8 x 8 bits", "float32"),
    "bit_serial_product_by_tables[{t}-16]": ("the same without vector popcounts, 16 x 16 bits", "float32"),
    "bit_serial_product[{t}-8-rounds]": ("bit-serial, rounding ADC, 8 x 8 bits", "float32"),
    "bit_serial_product[{t}-16-rounds]": ("bit-serial, rounding ADC, 16 x 16 bits", "float32"),
    "analog_product[{t}-8-uniform]": ("analog, read noise, 8 x 8 bits", "float32"),
    "analog_product[{t}-16-uniform]": ("analog, read noise, 16 x 16 bits", "float32"),
    "analog_product[{t}-8-by-cell]": ("analog, read noise by cell, 8 x 8 bits", "float32"),
    "analog_product[{t}-16-by-cell]": ("analog, read noise by cell, 16 x 16 bits", "float32"),
}
NETWORKS = {
    "torch_lenet[{t}-float32]": ("torch float32", 100),
    "torch_lenet[{t}-float64]": ("torch float64", 100),
    "lenet_on_a_chip[{t}-0.0]": ("chip, healthy", 100),
    "lenet_on_a_chip[{t}-0.01]": ("chip, 1 % of the cells stuck", 100),
    "lenet_on_eight_faulty_chips[{t}]": ("8 chips with 1 % stuck, 1,000 images each", 8000),
    "lenet_bit_serial[{t}]": ("chip, collapsing nothing", 100),
    "lenet_in_conductances[{t}-analog]": ("analog, read noise", 100),
    "lenet_in_conductances[{t}-parasitic]": ("parasitic, read noise, wires solved before", 100),
}
BOARD_IMAGES = 1024
BOARDS = ("cnvW1A1", "cnvW1A2", "cnvW2A2", "lfcW1A1", "lfcW1A2")
CAMPAIGN = 3840 * 128


def quick(seconds):
    """A time in three figures."""
    return f"{seconds * 1e3:.3g} ms" if seconds < 1 else f"{seconds:.3g} s"


def main(path):
    """Print the tables, both thread counts side by side."""
    document = json.loads(Path(path).read_text())
    median = {re.sub("^test_", "", b["name"]): b["stats"]["median"] for b in document["benchmarks"]}

    def at(pattern, threads):
        name = "1-thread" if threads == 1 else "2-threads"
        found = [v for k, v in median.items() if normal(k) == normal(pattern.format(t=name))]
        return found[0] if found else float("nan")

    cpu = document["machine_info"]["cpu"]
    print(f"Processor: {cpu.get('brand_raw', 'unnamed')}, {cpu.get('count')} of its threads.\n")
    print("| what | 1 thread | rate | beside torch | 2 threads | gain |\n|---|---|---|---|---|---|")
    for pattern, (words, beside) in PRODUCTS.items():
        one, two = at(pattern, 1), at(pattern, 2)
        ratio = at(f"torch_product[{{t}}-{beside}]", 1) / one
        share = "" if words.startswith("torch") else f"{ratio:.2f} of {beside}"
        if ratio < 0.2:
            share = f"1/{1 / ratio:.1f} of {beside}"
        print(
            f"| {words} | {quick(one)} | {PRODUCT_MACS / one / 1e9:.3g} GMAC/s | {share} | {quick(two)} "
            f"| {one / two:.2f} |"
        )
    print("\n| what | 1 thread | images/s | beside float32 | 2 threads | gain |\n|---|---|---|---|---|---|")
    for pattern, (words, images) in NETWORKS.items():
        one, two = at(pattern, 1), at(pattern, 2)
        ratio = at("torch_lenet[{t}-float32]", 1) / 100 / (one / images)
        print(
            f"| {words} | {quick(one)} | {images / one:,.0f} | {ratio:.3g} | {quick(two)} | {one / two:.2f} |"
        )
    boards(at)
    one, two = at("wires_of_one_array[{t}]", 1) / 8, at("wires_of_one_array[{t}]", 2) / 8
    print(
        f"\nWires of one 128 x 128 array: {quick(one)} on one thread, {quick(two)} on two; "
        f"LeNet's 246 arrays: {246 * one:.1f} s and {246 * two:.1f} s."
    )


def normal(name):
    """A benchmark's name with its parameters in alphabetical order."""
    head, _, rest = name.partition("[")
    parts = rest.rstrip("]").replace("by-cell", "bycell").replace("1-thread", "1t").replace("2-threads", "2t")
    return head, tuple(sorted(p for p in re.split("-", parts.replace("1ts", "1t")) if p))


def boards(at):
    """The table of FINN boards, in images a second; ratios on the same number of threads."""
    print(
        "\n| what | 1 thread, images/s | beside torch float32 | 2 threads, images/s | beside torch float32 |"
    )
    print("|---|---|---|---|---|")
    torch_rates = {}
    for name in ("cnvW1A1", "lfcW1A1"):
        torch_rates[name[:3]] = [BOARD_IMAGES / at(f"torch_board[{{t}}-{name}]", t) for t in (1, 2)]
        one, two = torch_rates[name[:3]]
        print(f"| torch float32, layers of {name} | {one:,.0f} | 1 | {two:,.0f} | 1 |")
    for name in BOARDS:
        one, two = (BOARD_IMAGES / at(f"board[{{t}}-{name}]", t) for t in (1, 2))
        beside = [rate / base for rate, base in zip((one, two), torch_rates[name[:3]], strict=True)]
        print(f"| {name} | {one:,.0f} | {beside[0]:.1f} | {two:,.0f} | {beside[1]:.1f} |")
    one, two = (CAMPAIGN / at("campaign_of_channels[{t}]", t) for t in (1, 2))
    healthy = [BOARD_IMAGES / at("board[{t}-cnvW1A1]", t) for t in (1, 2)]
    print(f"| cnvW1A1, one channel stuck at a time | {one:,.0f} | - | {two:,.0f} | - |")
    print(
        f"\nThe campaign beside fault-free cnvW1A1: {one / healthy[0]:.1f} and {two / healthy[1]:.1f} times."
    )


if __name__ == "__main__":
    main(sys.argv[1])
