"""Running steps over blocks of frames: one read serves every step, memory is bounded by the blocks in flight."""
