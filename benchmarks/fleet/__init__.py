"""A whole fleet on one machine under steady load while its parts are killed, cut off and restarted."""
