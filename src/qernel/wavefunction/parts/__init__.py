"""What ansätze are made of: layers of features, correlation factors, backflow."""
