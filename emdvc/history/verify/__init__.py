"""Whether results are reproduced, and whether their bytes are still what was recorded."""
