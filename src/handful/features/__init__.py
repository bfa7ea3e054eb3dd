"""What a frozen backbone sees, computed once and cached."""
