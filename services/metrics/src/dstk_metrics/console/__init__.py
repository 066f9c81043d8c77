"""The console: a web page of the service, and the HTTP calls that it makes. It only reads."""
