"""What a scientist asks for by name: parameters with units, the metadata keys read, what comes out."""
