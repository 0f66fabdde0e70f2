"""Run the source bundle as Elastic Beanstalk would, on this machine, and test it: ``make rehearse``."""
