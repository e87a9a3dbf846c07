"""What the devices' memory looks like now. The engine knows only what a probe answers, so this names nothing that
measures: `probes.inventory.open_devices` gives an agent's devices and the probe that reads them.
"""

from .port import Probe, Reading

__all__ = ["Probe", "Reading"]
