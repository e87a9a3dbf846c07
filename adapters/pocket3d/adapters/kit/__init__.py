"""The check kit: runs an adapter against its contract without NATS; the skeleton of a new one."""
