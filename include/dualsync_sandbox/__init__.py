"""Both Dynamics systems, played honestly on loopback: a place to rehearse a cut-over without a tenant."""
