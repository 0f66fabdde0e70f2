"""Deployment: Elastic Beanstalk's bundle, files for a host of your own, a rehearsal, the requirements files."""
