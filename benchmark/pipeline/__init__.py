"""The stages: a module is a command, a DVC stage and an output folder."""
