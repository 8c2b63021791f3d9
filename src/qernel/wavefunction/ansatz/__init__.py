"""The ansätze: whole wavefunctions made of the parts."""
