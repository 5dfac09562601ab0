"""Martlet: a BGP speaker and route reflector for asyncio."""
