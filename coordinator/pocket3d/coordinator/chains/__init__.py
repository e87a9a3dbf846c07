"""Chains of jobs and groups of jobs: what is started when, and how the whole ends. Pure."""
