"""What `saphan bench` measures, on a platform of its own that is thrown away afterwards."""
