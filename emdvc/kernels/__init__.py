"""Numba on plain arrays: shapes in, arrays out. No files, no xarray, no units.

Counts are summed in integers, so a sum does not depend on the order, the thread count or the machine. Where the data
are floats the order of the additions is fixed: pixel by pixel within a frame, frame by frame within a block.
"""
