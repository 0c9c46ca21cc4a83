"""What the adversarial-features paper reports: Tables I and II, and the figures that its text quotes."""

from __future__ import annotations

# Table I: Tikhonov's strength to training and test accuracy in % (its network is not named)
TABLE_1 = {0.0: (98.60, 88.90), 1e-4: (97.84, 89.89), 1e-3: (93.88, 88.86), 0.1: (66.57, 65.74)}
# Table II: (network, method) to training and test accuracy in %
TABLE_2 = {
    ("fashion-mlp", "none"): (99.51, 89.42),
    ("fashion-mlp", "lasso"): (98.42, 88.96),
    ("fashion-mlp", "tikhonov"): (97.16, 88.52),
    ("fashion-mlp", "adversarial"): (95.78, 90.25),
    ("fashion-cnn", "none"): (99.60, 90.94),
    ("fashion-cnn", "lasso"): (96.98, 91.19),
    ("fashion-cnn", "tikhonov"): (95.74, 90.61),
    ("fashion-cnn", "adversarial"): (96.00, 91.55),
    ("cifar-deep", "none"): (96.35, 86.11),
    ("cifar-deep", "lasso"): (79.95, 77.78),
    ("cifar-deep", "tikhonov"): (93.87, 87.21),
    ("cifar-deep", "adversarial"): (91.36, 87.58),
    ("cifar-small", "none"): (85.16, 81.71),
    ("cifar-small", "lasso"): (83.90, 81.68),
    ("cifar-small", "tikhonov"): (84.83, 81.71),
    ("cifar-small", "adversarial"): (82.00, 80.87),
}
# section VI-D, accuracy in % with a share of units stuck at 0, Fig. 7
FIG_7 = {
    ("node", 0.68): {"adversarial": 84.60, "tikhonov": 78.51, "lasso": 51.09},
    ("weight", 0.6): {"adversarial": 84.36, "tikhonov": 81.66, "lasso": 61.42},
}
# section IV, digits: accuracy in % of unregularised and regularised networks, Fig. 3
FIG_3 = {("weight", 0.5): (54.49, 84.78), ("filter", 0.5): (51.43, 79.90), ("node", 0.6): (69.08, 93.46)}
EPOCHS = "The paper plays 2,000 epochs on Fashion-MNIST and 10,000 iterations on CIFAR-10."
