"""What the devices' memory looks like now. `open_devices` gives an agent's devices and the probe that reads them."""

from .inventory import Inventory, open_devices
from .port import Probe, Reading

__all__ = ["Inventory", "Probe", "Reading", "open_devices"]
