"""What the kinds `user` and `group` share: the account files, and two ways of changing them."""
