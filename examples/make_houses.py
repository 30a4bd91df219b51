"""The house prices of houses.csv: made up, from a seed, with gaps and with districts as text.

python examples/make_houses.py > examples/houses.csv
"""

from __future__ import annotations

import csv
import sys

import numpy as np

DISTRICTS = {"Harbour": 1.25, "Old Town": 1.4, "Riverside": 1.1, "Hillside": 1.0, "Station": 0.85}
ROWS, GAPS = 300, 0.06

rng = np.random.default_rng(0)
writer = csv.writer(sys.stdout, lineterminator="\n")
writer.writerow(["area", "rooms", "age", "district", "price"])
for _ in range(ROWS):
    area = rng.uniform(35, 220)
    rooms = max(1, round(area / 28 + rng.normal(0, 0.8)))
    age = int(rng.integers(0, 90))
    district = str(rng.choice(list(DISTRICTS)))
    price = (28_000 + 2_600 * area + 6_500 * rooms - 900 * age) * DISTRICTS[district] * rng.normal(1, 0.05)
    fields = [f"{area:.1f}", rooms, age, district]
    writer.writerow([*("" if rng.random() < GAPS else field for field in fields), round(price, -2)])
