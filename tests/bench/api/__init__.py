"""How fast a Python program announces routes and hears of them: our API beside those of ExaBGP and os-ken.

Each candidate is a program as its users would write it, in a process of its own: `ours`, `osken_program`, and
`exabgp_program`, which ExaBGP starts.  All have one session with the same partner, who knows nothing of any
of them (`partner`): what is announced counts when it has arrived there, and what is fed to it counts when the
program's own code has seen it.  `run` installs the others into an environment of their own, and compares.
"""
