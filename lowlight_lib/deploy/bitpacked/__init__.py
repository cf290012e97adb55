"""BRVE on bits: XOR and popcount instead of multiplications."""
