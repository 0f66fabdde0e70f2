"""How the app gets to where the public is: the bundle for Elastic Beanstalk, files for a plain host, a rehearsal."""
