"""Image files to what the image families of the engine take."""
