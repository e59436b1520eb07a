"""Why a result changed between two revisions."""
