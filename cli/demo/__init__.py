"""The main job, on real processes: simulator, service, SIGKILL, recovery."""
