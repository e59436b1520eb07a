"""Raw data is immutable: what `emdvc add` recorded may neither change nor go without a reason that is written down."""
