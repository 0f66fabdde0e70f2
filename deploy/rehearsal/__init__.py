"""The source bundle on this machine as Elastic Beanstalk would run it, and what may happen to it: ``make rehearse``."""
