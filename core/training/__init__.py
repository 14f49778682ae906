"""Makes models that the engine serves. It imports the engine, and the engine nothing of it."""
