"""One file, one verb: what the command line, a notebook or a scheduler calls, imported as `cxreco.pipelines`."""
