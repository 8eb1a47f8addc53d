"""HTTP(S), with a deadline that holds whatever the server does."""
