"""The bundled model, its process reward model, and the recipe that trains both."""
