"""The agent's shell: messages, files, worker processes and timers; decides nothing."""
