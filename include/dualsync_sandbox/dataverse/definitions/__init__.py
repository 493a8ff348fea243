"""What Dataverse says of its tables: CSDL and definitions."""
