"""What cannot be merged is asked about: conflict files, answers, and what is settled by them."""
