"""`jointmat serve`: the HTTP API and the demo page. Needs the packages of jointmat[serve]."""
