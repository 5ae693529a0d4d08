"""The edge: the hands. Settings, stores, registry, engine, HTTP, importers and reports."""
