"""Request: "What could we do for them?" State in, scored candidates out, one file per mode."""
