"""A Synapse module that asks Sceau before a private message is analysed, and runs the analysis only on its permit.

Homeserver configuration names `sceau_synapse.module.SceauModule`. Everything here but `module` and `pdp` is values and
plain functions: no network, no clock, no Synapse. Nothing here may hold up, change or refuse a message.
"""
