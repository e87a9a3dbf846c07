"""`pocket3d gateway`: the wire's words over HTTP, for browsers, curl and any other HTTP client.

A thin process beside NATS that decides nothing and keeps nothing: any number of them may run. It needs the extra
`gateway` (Litestar and uvicorn).
"""
