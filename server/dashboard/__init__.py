"""What runs in the browser: the view of a trace, its styles and the library that lays its tree out, as package data."""
