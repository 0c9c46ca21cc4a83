"""A torch network on a FINN accelerator: every stuck channel, and what triplicating the worst ones buys."""

import xbarsim as xb

subject = xb.SubjectReference(network="digits-mlp", accelerator=xb.FinnConfig()).load()
network = subject.chip.network.folded([(8, 8), (8, 8), (2, 8)])  # PE, SIMD of each layer
chip = xb.program(network, "finn")

cycles, resources = xb.design_cycles(chip.network), xb.design_resources(chip.network)
print(f"{cycles.images_per_s(100):,.0f} images/s at 100 MHz, about {resources.luts:,} LUT")

found = xb.every_fault(chip, xb.SingleFaults("channel"), subject.test)
print(found.worst(3))
front = xb.replication_front(chip, found.on_finn, cost="folded")
for k in front.front[:5]:
    print(f"{k} channels triplicated: cost {front.cost[k]:.2f}, worst error {front.error_percent[k]:.1f} %")
