"""A fleet of unequal GPUs and a day's load on it, simulated without a network: `mergeladder simulate`."""
