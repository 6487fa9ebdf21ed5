"""What it costs to be watched: metrics and tracing against neither, and the time of a scrape under full load."""
