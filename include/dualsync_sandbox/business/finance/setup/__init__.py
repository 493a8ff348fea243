"""Setup of project accounting in Finance, and what follows from it."""
