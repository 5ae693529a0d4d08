"""Parts of `cold_start`: what is held out, the peers, and the measures."""
