"""Good files of every format, and how hostile ones are made of them."""
