"""Spiking chips: exact counts of spikes of many faulty copies of a network."""
