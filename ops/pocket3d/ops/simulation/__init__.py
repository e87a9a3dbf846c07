"""The whole system in virtual time: the real engines of coordinator and agent, everything around them modelled."""
