"""A route reflector in a process of its own, honest clients around it, and peers that mean no good.

`victim` is the service, `swarm` the honest ones, who check all that they are told; `attacker` is one hostile
connection, `attacks` what may be done with it, `trial` does them one by one and `soak` all of them for hours.
"""
