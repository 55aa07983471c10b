"""Search a network for the 8x8 digits that fits an RP2040, from arrays: `python examples/search_digits.py`."""

import os

from sklearn.datasets import load_digits

import nas

trials = int(os.environ.get("TRIALS", "24"))  # networks to train
digits = load_digits()
X, y = digits.images.astype("uint8"), digits.target  # samples as the device will have them

result = nas.search(X, y, budget="64KB", target="rp2040", timeout="2m", trials=trials)
print(result)
for model in result.front:
    print(f"trial {model.number}: accuracy {model.accuracy:.3f}, {model.sram_bytes:,} B of SRAM")

smallest = nas.export(result, "runs/digits-smallest", policy="smallest")
print(f"bundle {smallest.path}, {smallest.manifest.costs.flash_bytes:,} B of flash")
