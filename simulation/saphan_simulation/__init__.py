"""A small province that is simulated: workers, employers, agencies, and the truth about them."""
