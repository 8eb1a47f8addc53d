"""Archives: read, planned and extracted, with nothing believed of them."""
