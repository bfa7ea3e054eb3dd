"""What a program asks over HTTP, and what it is told; needs the extra handful[web]."""
