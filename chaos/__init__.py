"""Whether each photo gets its answer while workers are killed, brokers restarted and connections cut (README.md)."""
