"""Intervals, paired comparisons and resampling: arrays in, numbers out."""
