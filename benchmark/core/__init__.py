"""What every other package stands on: configuration, paths, files, digests, git, the device."""
