"""Physics-informed networks with an adversary that looks for the places where they are wrong."""
