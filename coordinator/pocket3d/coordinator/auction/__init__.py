"""Rounds of bidding: the queue, the fleet as it is seen, invitations, plans, scores."""
