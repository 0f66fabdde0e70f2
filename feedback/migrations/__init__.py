"""How the tables of ``feedback.schema`` came about, for databases that are in use."""
