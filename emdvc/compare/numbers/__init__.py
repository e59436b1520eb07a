"""The numbers of two datasets: what may differ is found, read and counted."""
