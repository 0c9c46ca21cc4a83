"""Campaigns: thousands of independent trials, kept in a file, resumed after anything, precise on request."""
