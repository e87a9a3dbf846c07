"""Who runs what: the queue, the auction, the lifecycle of jobs, and the leadership among coordinators."""
