"""`pocket3d mcp`: the system's verbs as tools for agents, by the Model Context Protocol. It needs the extra `mcp`.

It speaks to NATS by our client, as the command line does: it runs beside the agent, with that person's credentials, and
moves files between the server and one folder of theirs without a gateway between.
"""
