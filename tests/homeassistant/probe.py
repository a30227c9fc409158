"""Lets Home Assistant's own code read what an appliance announces, and says what it made of it.

Starts a Home Assistant core without a user interface, gives it the MQTT integration and a broker on loopback,
waits until the appliance has appeared, and prints one JSON object:

    {"version": ..., "devices": [...], "entities": [...], "rejected": [...]}

Exit code 0: entities appeared and nothing was rejected. 1: something was rejected, or nothing appeared.
Called by check.sh, which installs Home Assistant first. Usage: probe.py PORT [SECONDS]
"""

import asyncio
import inspect
import json
import logging
import sys
import tempfile
import types
from pathlib import Path

from homeassistant import auth, bootstrap, config_entries, core, loader
from homeassistant.const import __version__ as home_assistant_version
from homeassistant.helpers import device_registry, entity_registry
from homeassistant.setup import async_setup_component

BROKER = "127.0.0.1"


class Complaints(logging.Handler):
    """Keeps every warning and error of the MQTT integration: a rejected payload is told nowhere else."""

    def __init__(self):
        super().__init__(logging.WARNING)
        self.heard = []

    def emit(self, record):
        if record.name.startswith("homeassistant.components.mqtt"):
            self.heard.append(record.getMessage())


def broker_entry(port):
    """A configuration entry as the owner's clicks would make it; its fields differ between versions."""
    fields = {
        "version": 1,
        "minor_version": 2,
        "domain": "mqtt",
        "title": "loopback",
        "source": "user",
        "data": {"broker": BROKER, "port": port, "protocol": "5"},
        "options": {},
        "unique_id": None,
        "discovery_keys": {},
        "subentries_data": None,
    }
    known = inspect.signature(config_entries.ConfigEntry.__init__).parameters
    return config_entries.ConfigEntry(**{name: value for name, value in fields.items() if name in known})


async def start(folder):
    """A Home Assistant that has everything the MQTT integration leans on, and nothing else."""
    hass = core.HomeAssistant(folder)
    hass.config.skip_pip = True
    hass.config_entries = config_entries.ConfigEntries(hass, {})
    loader.async_setup(hass)
    await bootstrap.async_load_base_functionality(hass)
    hass.auth = await auth.auth_manager_from_config(hass, [], [])
    hass.set_state(core.CoreState.running)
    await async_setup_component(hass, "homeassistant", {})
    # Web server and uploads are only asked to exist.
    hass.http = types.SimpleNamespace(register_view=lambda *args, **kwargs: None)
    for domain in ("http", "file_upload"):
        hass.config.components.add(domain)
    return hass


def found_entities(hass):
    found = []
    for entry in entity_registry.async_get(hass).entities.values():
        state = hass.states.get(entry.entity_id)
        found.append(
            {
                "entity": entry.entity_id,
                "name": entry.original_name,
                "category": entry.entity_category,
                "enabled": entry.disabled_by is None,
                "state": state.state if state else None,
                "attributes": sorted(state.attributes) if state else [],
            }
        )
    return sorted(found, key=lambda one: one["entity"])


async def probe(port, seconds):
    complaints = Complaints()
    logging.getLogger().addHandler(complaints)
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "configuration.yaml").touch()
        hass = await start(folder)
        await hass.config_entries.async_add(broker_entry(port))
        await asyncio.sleep(seconds)
        await hass.async_block_till_done()
        entities = found_entities(hass)
        devices = sorted(device.name for device in device_registry.async_get(hass).devices.values())
        report = {
            "version": home_assistant_version,
            "devices": devices,
            "entities": entities,
            "rejected": complaints.heard,
        }
        print(json.dumps(report, indent=1, default=str))
        await hass.async_stop(force=True)
    return 0 if entities and not complaints.heard else 1


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    seconds_to_wait = float(sys.argv[2]) if len(sys.argv) == 3 else 4
    sys.exit(asyncio.run(probe(int(sys.argv[1]), seconds_to_wait)))
