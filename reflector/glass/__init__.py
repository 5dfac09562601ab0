"""What the looking glass has beyond the reports: history, the roll of neighbors, live news, a route's way."""
