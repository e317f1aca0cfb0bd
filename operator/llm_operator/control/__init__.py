"""Client of the pods' control port (50052), and who may call it."""
