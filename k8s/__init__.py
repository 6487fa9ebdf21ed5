"""What runs the server in a cluster, as files, and the code that makes those of them that are made."""
