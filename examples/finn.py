"""A torch network on a FINN accelerator: every stuck channel, and what triplicating the worst ones buys."""

from accel_models.finn.concurrent import simulate_faults
from accel_models.finn.config import FinnConfig
from accel_models.finn.cycles import design_cycles
from accel_models.finn.from_graph import from_graph, image_pixels
from accel_models.finn.replication import replication_front
from accel_models.finn.resources import design_resources
from networks.datasets import load_dataset
from xbarsim.experiments.references import network_of
from xbarsim.faults.pe import PeFaultKind
from xbarsim.torch_bridge.quantize import quantize

train, test = load_dataset("digits", "train"), load_dataset("digits", "test")
graph = quantize(network_of("digits-mlp").network.eval(), train.images, weight_bits=4, activation_bits=4)
design = FinnConfig().program(from_graph(graph).folded([(8, 8), (8, 8), (2, 8)]))
pixels, labels = image_pixels(graph, test.images), test.labels

cycles, resources = design_cycles(design.network), design_resources(design.network)
print(f"{cycles.images_per_s(100):,.0f} images/s at 100 MHz, about {resources.luts:,} LUT")

results = simulate_faults(design, design.fault_list([PeFaultKind.channel]), pixels, labels)
front = replication_front(design, results, cost="folded")
for k in front.front[:5]:
    print(f"{k} channels triplicated: cost {front.cost[k]:.2f}, worst error {front.error_percent[k]:.1f} %")
