"""``make torture``: overload, clients that leave, engines that are killed, the end of the server, deadlines."""
