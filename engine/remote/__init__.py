"""Engines elsewhere: a fleet of OpenAI-compatible servers behind the same ports as the engine in this process.

Lowest first: ``addresses`` (where they are), ``routing`` (which of them serves a search), ``losses`` (what a failed try
means), ``member`` (one server and its health), ``wire`` (HTTP), ``fleet`` (all servers together), ``offers`` (what a
server can do), ``dialect`` and ``reading`` (requests and replies), ``generation`` and ``pooling`` (the ports). Needs
neither vllm nor torch.
"""
