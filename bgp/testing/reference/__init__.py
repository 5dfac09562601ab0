"""A routing core that is slow and obvious, to judge fast ones by: the router, and its decision."""
