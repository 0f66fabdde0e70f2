"""Documents, and the script that takes the screenshot in the README."""
