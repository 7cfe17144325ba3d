"""How changes flow: the Faust applications link and integrate and the transport that feeds them whole chunks."""
