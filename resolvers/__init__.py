"""The app layer: one function per field. Unpack the arguments, call one service, return the entity."""
